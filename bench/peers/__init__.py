"""The servers that Pannier is measured beside, one module each. Some run under another Python than ours."""
