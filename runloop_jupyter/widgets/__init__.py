"""The widgets of one devbox, console, terminal, logs and files, and the channel by which a widget talks to its page."""
