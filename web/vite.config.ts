import type { IncomingMessage } from "node:http";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

/** Loaded by the development server only. */
let fixtures: typeof import("./fixtures/serve") | undefined;

const fixturePages: Plugin = {
  name: "fixture-pages",
  apply: "serve",
  async configureServer(server) {
    fixtures = (await server.ssrLoadModule("/fixtures/serve.ts")) as typeof fixtures;
    fixtures?.serveFixtures(server);
  },
  transformIndexHtml: (_, { originalUrl = "/" }) => [
    { tag: "script", children: fixtures?.firstScript(originalUrl), injectTo: "head-prepend" },
  ],
};

/** What draws the page is fetched beside what runs first, not after it. */
const besideTheFirst: Plugin = {
  name: "beside-the-first",
  apply: "build",
  transformIndexHtml: {
    order: "post",
    handler(_, { bundle = {} }) {
      const show = Object.values(bundle).find((file) => file.type === "chunk" && file.name === "show");
      if (!show) throw new Error("There is no chunk 'show'.");
      const attrs = { rel: "modulepreload", crossorigin: true, href: `/${show.fileName}` };
      return [{ tag: "link", attrs, injectTo: "head" }];
    },
  },
};

const gateway = {
  target: "http://127.0.0.1:3007",
  /** What a fixture answers goes to no gateway. */
  bypass: (request: IncomingMessage) => (fixtures?.isFixture(request) ? request.url : null),
};

export default defineConfig({
  plugins: [react(), fixturePages, besideTheFirst],
  build: {
    outDir: "../moonx_pipeline/gateway/static",
    emptyOutDir: true,
    // The gateway's content security policy allows files of its own only: nothing is inlined.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // One file, so that no style waits for the script that it goes with.
    cssCodeSplit: false,
  },
  server: {
    proxy: {
      "/api": gateway,
      "/health": gateway,
      "/socket.io": { ...gateway, ws: true },
    },
  },
});
