"""What a sync costs, measured on this machine against the simulator."""
