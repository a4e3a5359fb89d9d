"""The same bundle with no cloud: a Functions host and simulators of every service, on loopback."""
