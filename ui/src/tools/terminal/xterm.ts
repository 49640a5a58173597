// The terminal emulator: a module of its own, which the kernel sends to a page once there is a terminal in it.

import "@xterm/xterm/css/xterm.css";

export { FitAddon } from "@xterm/addon-fit";
export { Terminal } from "@xterm/xterm";
