"""A small OpenStack of Debian's own packages, on loopback, for the end-to-end specs."""
