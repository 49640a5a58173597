"""The kernels of notebooks, whose devboxes end with them."""
