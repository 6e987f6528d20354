"""What is seen of networks: how two of them differ."""
