// Made from the parsers of runloop_jupyter/commands by scripts/cell_magics.py: change them, then `make ui`.

export interface CellMagic {
  /** The language of the cell, by its name in JupyterLab; empty for text of no language. */
  language: string;
  /** The option whose value is the program that runs the cell; empty where there is none. */
  program: string;
  /** True if the first word that is no option is a file whose name says the language. */
  file: boolean;
  /** The options that take a value, where an argument says the language. */
  valued: readonly string[];
}

/** By what is typed after the two percent signs. */
export const CELL_MAGICS: Readonly<Record<string, CellMagic>> = {
  "devbox exec": {
    "language": "shell",
    "program": "",
    "file": false,
    "valued": []
  },
  "runloop devbox exec": {
    "language": "shell",
    "program": "",
    "file": false,
    "valued": []
  },
  "devbox python": {
    "language": "ipython",
    "program": "",
    "file": false,
    "valued": []
  },
  "runloop devbox python": {
    "language": "ipython",
    "program": "",
    "file": false,
    "valued": []
  },
  "devbox script": {
    "language": "shell",
    "program": "--proc",
    "file": false,
    "valued": [
      "--cwd",
      "--env",
      "--err",
      "--on",
      "--out",
      "--proc",
      "--result",
      "--tail",
      "--template",
      "--timeout",
      "--user",
      "-o"
    ]
  },
  "runloop devbox script": {
    "language": "shell",
    "program": "--proc",
    "file": false,
    "valued": [
      "--cwd",
      "--env",
      "--err",
      "--on",
      "--out",
      "--proc",
      "--result",
      "--tail",
      "--template",
      "--timeout",
      "--user",
      "-o"
    ]
  },
  "devbox write": {
    "language": "",
    "program": "",
    "file": true,
    "valued": [
      "--mode",
      "--on",
      "--template"
    ]
  },
  "runloop devbox write": {
    "language": "",
    "program": "",
    "file": true,
    "valued": [
      "--mode",
      "--on",
      "--template"
    ]
  },
  "runloop blueprint build": {
    "language": "Dockerfile",
    "program": "",
    "file": false,
    "valued": []
  }
};
