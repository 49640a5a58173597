import type { Model, RenderOptions } from "./model";

type Render = (options: RenderOptions) => () => void;

/** The front end's own model, of which anywidget shows a part only. */
interface OwnModel {
  _handle_comm_msg(message: unknown): Promise<void>;
  comm?: { on_msg?(handler: (message: unknown) => Promise<void>): void };
}

const NOTHING = { content: { data: { method: "nothing" } } };

/** A widget's `render`, which begins once its model hears the kernel. */
export function hearing(render: Render): (options: RenderOptions) => Promise<() => void> {
  return async (options) => {
    await hearKernel(options.model);
    return render(options);
  };
}

/**
 * anywidget gives up on a model whose module took longer than two seconds to load, as on a busy page: what the page sends
 * still reaches the kernel, but whatever comes from there is dropped, for ever. Such a model is given the handler of its
 * base class, that of any other widget, which never waits.
 */
async function hearKernel(model: Model): Promise<void> {
  const own = await ownModel(model);
  if (!own?.comm?.on_msg) return; // a page without a kernel
  try {
    await own._handle_comm_msg(NOTHING);
  } catch {
    own._handle_comm_msg = Object.getPrototypeOf(Object.getPrototypeOf(own))._handle_comm_msg;
    own.comm.on_msg(own._handle_comm_msg.bind(own));
  }
}

async function ownModel(model: Model): Promise<OwnModel | null> {
  try {
    return (await model.widget_manager?.get_model?.(model.get("widget_id") as string)) as OwnModel;
  } catch {
    return null; // another front end, where no such model is
  }
}
