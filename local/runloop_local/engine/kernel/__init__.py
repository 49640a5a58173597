"""The notebook kernels that own devboxes."""
