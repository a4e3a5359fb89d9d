"""What a scan saw of a tenant, and what it did not see, and why.

``messages`` reads the scanner's own words; ``statement`` weighs them against what the application
was given and says for each service whether it was scanned. Left out: what the scan found in the
tenant, which is Mondoo's to tell.
"""
