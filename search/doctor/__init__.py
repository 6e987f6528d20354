"""A space examined before anything is paid for."""
