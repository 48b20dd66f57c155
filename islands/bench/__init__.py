"""How fast a machine is: what `islands bench` measures."""
