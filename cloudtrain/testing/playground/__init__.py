"""A cloud on your own machine: the real SDK, real HTTP and real SSH hosts, without an account and without a bill."""
