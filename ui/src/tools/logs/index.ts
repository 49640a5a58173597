import "../../styles/base.css";
import "../../styles/tool.css";
import "../../styles/logs.css";
import { widget } from "../tool_frame";
import { LogsTool } from "./logs_tool";

export default widget("logs", (options) => new LogsTool(options));
