"""The kernel's side of the JupyterLab extension: the devbox in a notebook's toolbar, the panel in the sidebar."""
