// esbuild makes the style sheets that a module imports into one beside it.
declare module "*.css";
