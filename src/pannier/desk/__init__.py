"""The front desk of ``pannier serve``: who is let in, the pages, what they ask for, what receivers of links see."""
