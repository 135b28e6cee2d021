"""HTTP: typed handlers over the services."""
