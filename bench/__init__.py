"""`make bench`: Pannier beside its peers, as real processes on loopback, in turn within the same run."""
