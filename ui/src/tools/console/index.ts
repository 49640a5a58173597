import "../../styles/base.css";
import "../../styles/tool.css";
import "../../styles/console.css";
import { widget } from "../tool_frame";
import { ConsoleTool } from "./console_tool";

export default widget("console", (options) => new ConsoleTool(options));
