import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

/** Paths of Debian's package `chromium`, and of Google's, which is on GitHub's machines. */
const USUAL = ['/usr/bin/chromium', '/usr/bin/google-chrome'];
const CHROMIUM = process.env.CHROMIUM ?? USUAL.find((path) => existsSync(path)) ?? '';
const AXE = readFileSync(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8');
const REPORT = "axe.run().then((r) => r.violations.map((v) => v.id + ' ' + v.nodes[0].html))";

/** Why tests in a browser are skipped, if they are. */
export const WITHOUT_CHROMIUM = existsSync(CHROMIUM) ? false : 'Chromium is not installed';

/** Ways in which each page is opened. */
export const VIEWS: Readonly<Record<string, BrowserContextOptions>> = {
  light: { colorScheme: 'light', viewport: { width: 1280, height: 800 } },
  dark: { colorScheme: 'dark', viewport: { width: 1280, height: 800 } },
  narrow: { colorScheme: 'light', viewport: { width: 360, height: 640 } },
  wide: { colorScheme: 'dark', viewport: { width: 3840, height: 2160 } },
  'without scripts': { javaScriptEnabled: false, viewport: { width: 1280, height: 800 } },
};

/** Starts Chromium without a window. */
export async function openBrowser(): Promise<Browser> {
  return await chromium.launch({
    executablePath: CHROMIUM,
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-sync'],
  });
}

/** Returns the reasons why a page has to be scrolled sideways. */
export async function layoutProblems(page: Page, path: string): Promise<string[]> {
  const { content, window } = (await page.evaluate(
    '({ content: document.documentElement.scrollWidth, window: innerWidth })',
  )) as { content: number; window: number }; // the result of the expression
  return content > window ? [`${path} is ${content} pixels wide on a screen of ${window}`] : [];
}

/** Returns the rules of accessibility that a page violates. */
export async function axeViolations(page: Page, path: string): Promise<string[]> {
  const session = await page.context().newCDPSession(page); // no policy of the page applies to it
  const { result } = await session.send('Runtime.evaluate', {
    expression: `${AXE};${REPORT}`,
    awaitPromise: true,
    returnByValue: true,
  });
  const found = result.value as string[]; // the result of the expression
  return found.map((violation) => `${path}: ${violation}`);
}
