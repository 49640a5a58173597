// The few interfaces of JupyterLab that are used here, as of 4.4: its own packages would be 140 MB to install.

declare module "@jupyterlab/application" {
  import type { Token } from "@lumino/coreutils";
  import type { Widget } from "@lumino/widgets";

  export interface Commands {
    addCommand(id: string, options: { label: string; caption: string; icon: unknown; execute: () => unknown }): unknown;
    execute(id: string): Promise<unknown>;
  }

  export interface JupyterFrontEnd {
    readonly commands: Commands;
    readonly restored: Promise<void>;
    readonly shell: {
      add(widget: Widget, area: "left", options: { rank: number }): void;
      activateById(id: string): void;
    };
  }

  export interface JupyterFrontEndPlugin<T> {
    id: string;
    description: string;
    autoStart: boolean;
    requires?: Token<unknown>[];
    optional?: Token<unknown>[];
    provides?: Token<T>;
    activate: (app: JupyterFrontEnd, ...services: never[]) => T | Promise<T>;
  }

  export interface ILayoutRestorer {
    add(widget: Widget, name: string): void;
  }
  export const ILayoutRestorer: Token<ILayoutRestorer>;
}

declare module "@jupyterlab/apputils" {
  import type { Token } from "@lumino/coreutils";
  import type { Widget } from "@lumino/widgets";

  export interface ICommandPalette {
    addItem(item: { command: string; category: string }): unknown;
  }
  export const ICommandPalette: Token<ICommandPalette>;

  export interface IToolbarWidgetRegistry {
    addFactory<T extends Widget>(factory: string, item: string, make: (widget: T) => Widget): unknown;
  }
  export const IToolbarWidgetRegistry: Token<IToolbarWidgetRegistry>;

  export interface ISessionContext {
    readonly ready: Promise<void>;
    readonly session: { readonly kernel: IKernelConnection | null } | null;
    readonly kernelChanged: Event;
    readonly statusChanged: Event;
  }
  type Event = import("@lumino/signaling").ISignal<ISessionContext, unknown>;
  type IKernelConnection = import("@jupyterlab/services").Kernel.IKernelConnection;
}

declare module "@jupyterlab/codemirror" {
  import type { LanguageSupport } from "@codemirror/language";
  import type { Token } from "@lumino/coreutils";

  export interface IEditorLanguage {
    readonly name: string;
    support?: LanguageSupport;
    load?(): Promise<LanguageSupport>;
  }

  export interface IEditorLanguageRegistry {
    findByMIME(mime: string): IEditorLanguage | null;
    findByName(name: string): IEditorLanguage | null;
    findByFileName(name: string): IEditorLanguage | null;
    getLanguage(language: IEditorLanguage | string): Promise<IEditorLanguage | null>;
  }
  export const IEditorLanguageRegistry: Token<IEditorLanguageRegistry>;
}

declare module "@jupyterlab/launcher" {
  import type { Token } from "@lumino/coreutils";

  export interface ILauncher {
    add(item: { command: string; category: string }): unknown;
  }
  export const ILauncher: Token<ILauncher>;
}

declare module "@jupyterlab/notebook" {
  import type { ISessionContext } from "@jupyterlab/apputils";
  import type { IRenderMimeRegistry } from "@jupyterlab/outputarea";
  import type { Token } from "@lumino/coreutils";
  import type { ISignal } from "@lumino/signaling";
  import type { Widget } from "@lumino/widgets";

  /** An output's widget, as ipywidgets makes it: of all that renders, those with its MIME type. */
  export interface WidgetRenderer extends Widget {
    readonly mimeType: string;
    renderModel(model: unknown): Promise<void>;
  }

  interface Cell {
    readonly outputArea?: {
      readonly model: { get(at: number): { readonly data: Readonly<Record<string, unknown>> } | undefined };
      readonly widgets: readonly Widget[];
    };
  }

  export interface NotebookPanel extends Widget {
    readonly sessionContext: ISessionContext;
    readonly content: { readonly rendermime: IRenderMimeRegistry; readonly widgets: readonly Cell[] };
  }

  export interface INotebookTracker {
    readonly currentWidget: NotebookPanel | null;
    readonly currentChanged: ISignal<INotebookTracker, NotebookPanel | null>;
  }
  export const INotebookTracker: Token<INotebookTracker>;
}

declare module "@jupyterlab/outputarea" {
  import type { Widget } from "@lumino/widgets";

  export interface IRenderMimeRegistry {
    readonly mimeTypes: readonly string[];
  }

  interface Stream {
    output_type: "stream";
    name: "stdout";
    text: string;
  }

  export class OutputAreaModel {
    constructor(options: { trusted: boolean });
    add(output: { output_type: "display_data"; data: unknown; metadata: object } | Stream): number;
  }

  export const SimplifiedOutputArea: new (options: {
    model: OutputAreaModel;
    rendermime: IRenderMimeRegistry;
  }) => Widget;
}

declare module "@jupyterlab/services" {
  export namespace Kernel {
    interface IComm {
      readonly commId: string;
      readonly isDisposed: boolean;
      onMsg: (message: { content: { data: unknown }; buffers?: readonly (ArrayBuffer | ArrayBufferView)[] }) => void;
      onClose: () => void;
      send(data: unknown, metadata?: undefined, buffers?: readonly ArrayBufferView[]): unknown;
    }

    interface IExecuteReply {
      content: { status: "ok" | "error" | "aborted"; ename?: string; evalue?: string };
    }

    interface IKernelConnection {
      readonly isDisposed: boolean;
      readonly status: string;
      readonly handleComms: boolean;
      readonly info: Promise<{ language_info: { name: string } }>;
      registerCommTarget(target: string, callback: (comm: IComm) => void): void;
      createComm(target: string, id: string): IComm;
      requestCommInfo(content: {
        target_name?: string;
      }): Promise<{ content: { status: "ok"; comms: Record<string, unknown> } | { status: "error" | "aborted" } }>;
      requestExecute(content: { code: string; silent: boolean; store_history: boolean }): {
        readonly done: Promise<IExecuteReply>;
      };
    }
  }
}

declare module "@jupyterlab/ui-components" {
  export class LabIcon {
    constructor(options: { name: string; svgstr: string });
  }
}
