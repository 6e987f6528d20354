"""What a search predicts: latency, accuracy, and which training to stop early."""
