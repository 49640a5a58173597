"""The kernel's side of the JupyterLab extension: the notebook's current devbox in its toolbar, the panel in a sidebar."""
