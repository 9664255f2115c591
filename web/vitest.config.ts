import { defineConfig } from "vitest/config";

// Not the page's own configuration: its development server has no part in tests. Properties are tried on hundreds of
// examples, which a busy machine may take a while for. Tests of components (.tsx) have a document, the others none.
export default defineConfig({
  test: {
    testTimeout: 60_000,
    projects: [
      { extends: true, test: { name: "rules", include: ["{src,fixtures}/**/*.test.ts"] } },
      {
        extends: true,
        test: {
          name: "components",
          include: ["src/**/*.test.tsx"],
          environment: "jsdom",
          setupFiles: ["./testing/browser.ts"],
        },
      },
    ],
  },
});
