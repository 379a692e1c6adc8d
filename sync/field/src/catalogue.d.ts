// The catalogue in one language each, as vite.config.ts makes them of it.
declare module "virtual:texts/zh" {
  const texts: Readonly<Record<string, string>>;
  export default texts;
}
declare module "virtual:texts/en" {
  const texts: Readonly<Record<string, string>>;
  export default texts;
}
