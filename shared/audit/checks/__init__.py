"""What is compared, a module for each thing. All of it is pure."""
