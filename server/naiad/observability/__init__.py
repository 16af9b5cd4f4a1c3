"""What the process tells about itself, and what it can find out about its surroundings."""
