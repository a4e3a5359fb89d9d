"""The product through its HTTP interface, against the simulators, on the local host."""
