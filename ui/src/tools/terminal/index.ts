import "../../styles/base.css";
import "../../styles/tool.css";
import "../../styles/terminal.css";
import { widget } from "../tool_frame";
import { TerminalTool } from "./terminal_tool";

export default widget("terminal", (options) => new TerminalTool(options));
