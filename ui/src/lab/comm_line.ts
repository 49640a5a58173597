import type { ISessionContext } from "@jupyterlab/apputils";
import type { Kernel } from "@jupyterlab/services";
import type { Line, Received } from "../model";

type Callback = Parameters<Line["on"]>[1];

/** A comm as a channel takes it. */
export function lineOf(comm: Kernel.IComm, sessionContext: ISessionContext): Line {
  const callbacks = new Set<Callback>();
  comm.onMsg = ({ content, buffers = [] }) => {
    for (const callback of callbacks) callback(content.data as Received, buffers.map(viewOf));
  };
  return {
    send(content, _, buffers = []) {
      if (!comm.isDisposed) comm.send(content, undefined, buffers);
    },
    on: (_, callback) => void callbacks.add(callback),
    off: (_, callback) => void callbacks.delete(callback),
    widget_manager: { context: { sessionContext } },
  };
}

function viewOf(buffer: ArrayBuffer | ArrayBufferView): DataView {
  return ArrayBuffer.isView(buffer)
    ? new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength)
    : new DataView(buffer);
}
