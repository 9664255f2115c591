import { defineConfig } from "vitest/config";

// Not the page's own configuration: its development server has no part in tests. Properties are tried on hundreds of
// examples, which a busy machine may take a while for.
export default defineConfig({ test: { include: ["{src,fixtures}/**/*.test.ts"], testTimeout: 60_000 } });
