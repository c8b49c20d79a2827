// The explorer in a real Chromium with a real kernel, in JupyterLab or Voila; hands.mjs is the reader.
// usage: node explorer.mjs lab|voila|narrow plan.json out-folder
// The plan says what to type and where the mask must lie; on failure a screenshot and the server's log are kept.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { chromium } from 'playwright-core';
import { narrow, use } from './hands.mjs';

const [kind, planFile, out] = process.argv.slice(2);
const plan = JSON.parse(readFileSync(planFile, 'utf8'));
const PATIENCE = 15_000; // ms for one step
const began = Date.now();
const log = what => console.log(`${kind} ${((Date.now() - began) / 1000).toFixed(1)} s: ${what}`);
const pause = ms => new Promise(ok => setTimeout(ok, ms));
mkdirSync(out, { recursive: true });

const port = await new Promise(ok => {
  const probe = createServer().listen(0, '127.0.0.1', () => {
    const found = probe.address().port;
    probe.close(() => ok(found));
  });
});
const base = `http://127.0.0.1:${port}`, token = 'browser-test';

// Settings, workspaces and runtime files of the server lie in a folder of its own.
const home = mkdtempSync(join(tmpdir(), 'explorer-'));
const quiet = join(home, 'settings', '@jupyterlab', 'apputils-extension');
mkdirSync(quiet, { recursive: true });
writeFileSync(join(quiet, 'notification.jupyterlab-settings'), '{"fetchNews": "false", "checkForUpdates": false}');
const env = {
  ...process.env, JUPYTER_CONFIG_DIR: home, JUPYTER_DATA_DIR: join(home, 'data'), JUPYTER_RUNTIME_DIR: join(home, 'run'),
  JUPYTERLAB_SETTINGS_DIR: join(home, 'settings'), JUPYTERLAB_WORKSPACES_DIR: join(home, 'ws'),
};
const commands = {
  lab: ['-m', 'jupyterlab', '--no-browser', '--allow-root', '--ip=127.0.0.1', `--port=${port}`, '--ServerApp.port_retries=0',
    `--IdentityProvider.token=${token}`, `--ServerApp.root_dir=${dirname(plan.notebook)}`, '--expose-app-in-browser', '--LabApp.news_url=None'],
  voila: ['-m', 'voila', plan.app, ...plan.voila, '--no-browser', `--port=${port}`, `--token=${token}`],
};
commands.narrow = commands.voila;

let serverLog = '', server, browser, page, failure;
try {
  server = spawn(plan.python, commands[kind], { env, cwd: plan.root, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [server.stdout, server.stderr]) stream.on('data', text => { serverLog += text; });
  browser = await chromium.launch({ executablePath: plan.chromium, args: ['--no-sandbox', '--disable-dev-shm-usage'], timeout: PATIENCE });
  page = await browser.newPage({ viewport: kind === 'narrow' ? { width: 390, height: 844 } : { width: 1280, height: 800 } });
  page.setDefaultTimeout(PATIENCE);
  const errors = [], outside = [];
  page.on('pageerror', error => errors.push(String(error)));
  // A page that is left asks Voila to end its kernel without the token that Voila wants (its issue 1458, open):
  // the kernel goes five minutes later, by the Makefile's options.
  const known = url => kind !== 'lab' && url.startsWith(`${base}/voila/api/shutdown/`);
  page.on('console', message => message.type() === 'error' && !known(message.location().url)
    && errors.push(`${message.text()} (${message.location().url})`));
  page.on('request', request => {
    const url = request.url();
    if (!url.startsWith(`${base}/`) && !/^(data|blob):/.test(url)) outside.push(url);
  });
  page.on('websocket', socket => { if (!socket.url().startsWith(base.replace('http', 'ws'))) outside.push(socket.url()); });

  await answered();
  log('the server answers');
  const explorer = await (kind === 'lab' ? openInLab() : openInVoila());
  await explorer.locator('.tv-panel img').first().waitFor();
  log('the explorer stands');
  const shot = name => page.screenshot({ path: join(out, `${kind}-${name}.png`) });
  await (kind === 'narrow' ? narrow : use)({ page, explorer, plan, kind, log, shot });
  assert.deepEqual(errors, [], 'errors on the console');
  assert.deepEqual(outside, [], 'requests that left this computer');
  log('done');
} catch (error) {
  failure = error;
  console.error(error);
  console.error('the status line:', await page?.locator('.tv-status').first().innerText({ timeout: 1_000 }).catch(() => 'none'));
  await page?.screenshot({ path: join(out, `${kind}-failure.png`), timeout: 5_000 }).catch(() => {});
  writeFileSync(join(out, `${kind}-server.log`), serverLog);
} finally {
  await Promise.race([browser?.close(), pause(5_000)]);
  stop('SIGTERM');
  for (let i = 0; i < 20 && server?.exitCode === null && server?.signalCode === null; i++) await pause(100);
  stop('SIGKILL');
  rmSync(home, { recursive: true, force: true, maxRetries: 3 });
}
process.exit(failure ? 1 : 0);

function stop(signal) {
  try { process.kill(-server.pid, signal); } catch { /* it is gone */ }
}

async function answered() {
  const probe = kind === 'lab' ? `${base}/api/status?token=${token}` : `${base}/voila/static/voila.js`;
  for (let i = 0; i < 120; i++) {
    if (server.exitCode !== null) throw new Error(`the server ended with ${server.exitCode}:\n${serverLog}`);
    const reply = await fetch(probe, { signal: AbortSignal.timeout(2_000) }).catch(() => null);
    if (reply) return;
    await pause(250);
  }
  throw new Error(`the server did not start:\n${serverLog}`);
}

async function openInLab() {
  await page.goto(`${base}/lab/tree/${basename(plan.notebook)}?reset&token=${token}`);
  await page.waitForFunction(() => window.jupyterapp?.shell.currentWidget?.context, null, { timeout: 2 * PATIENCE });
  await page.evaluate(async () => {
    const context = window.jupyterapp.shell.currentWidget.context;
    await context.ready;
    await context.sessionContext.ready;
    window.jupyterapp.commands.execute('notebook:run-all-cells');
  });
  const explorer = page.locator('.tv-explorer').first();
  await explorer.waitFor({ timeout: 2 * PATIENCE });
  const raised = page.locator('.jp-RenderedText[data-mime-type*="error"]');
  assert.equal(await raised.count(), 0, 'a cell raised');
  return explorer;
}

async function openInVoila() {
  assert.equal((await fetch(`${base}/`, { redirect: 'manual', signal: AbortSignal.timeout(PATIENCE) })).ok, false, 'Voila asks for no token');
  await page.goto(`${base}/?token=${token}`, { timeout: 3 * PATIENCE, waitUntil: 'commit' });
  await page.locator('#loading_text').getByText(/^Step [12] of 2: /).waitFor();
  log('a line says what is being done');
  const explorer = page.locator('.tv-explorer').first();
  await explorer.waitFor({ timeout: 6 * PATIENCE });
  return explorer;
}
