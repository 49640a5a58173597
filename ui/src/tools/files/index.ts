import "../../styles/base.css";
import "../../styles/tool.css";
import "../../styles/files.css";
import { widget } from "../tool_frame";
import { FilesTool } from "./files_tool";

export default widget("files", (options) => new FilesTool(options));
