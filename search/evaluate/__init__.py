"""What becomes of a candidate: measured at the gate, scored, trained, and read once more as the winner."""
