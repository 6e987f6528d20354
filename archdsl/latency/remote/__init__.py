"""Measuring on another machine: the file and one script go there by ssh, and one JSON comes back."""
