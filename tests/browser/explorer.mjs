// A reader's hands on the explorer: real Chromium, real kernel, JupyterLab or Voila.
// usage: node explorer.mjs lab|voila plan.json out-folder
// The plan says what to type and where the mask must lie; on failure a screenshot and the server's log are kept.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { chromium } from 'playwright-core';

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
  voila: ['-m', 'voila', plan.notebook, ...plan.voila, '--no-browser', `--port=${port}`, `--token=${token}`],
};

let serverLog = '', server, browser, page, failure;
try {
  server = spawn(plan.python, commands[kind], { env, cwd: plan.root, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [server.stdout, server.stderr]) stream.on('data', text => { serverLog += text; });
  browser = await chromium.launch({ executablePath: plan.chromium, args: ['--no-sandbox', '--disable-dev-shm-usage'], timeout: PATIENCE });
  page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  page.setDefaultTimeout(PATIENCE);
  const errors = [], outside = [];
  page.on('pageerror', error => errors.push(String(error)));
  page.on('console', message => message.type() === 'error' && errors.push(`${message.text()} (${message.location().url})`));
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
  await use(explorer);
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
  await page.goto(`${base}/?token=${token}`, { timeout: 3 * PATIENCE });
  const explorer = page.locator('.tv-explorer').first();
  await explorer.waitFor({ timeout: 3 * PATIENCE });
  return explorer;
}

async function use(explorer) {
  const status = explorer.locator('.tv-status');
  const box = explorer.getByRole('textbox', { name: 'expression' });
  const panel = k => explorer.locator('.tv-panel img').nth(k);
  const says = text => status.getByText(text).waitFor();
  const fine = async () => assert.equal(await explorer.locator('.tv-wrong').count(), 0, await status.innerText());
  // The pixel of a panel at a share of its height and width.
  const pixel = (k, [y, x]) => panel(k).evaluate(async (image, [y, x]) => {
    await image.decode();
    const canvas = Object.assign(document.createElement('canvas'), { width: image.naturalWidth, height: image.naturalHeight });
    const pen = canvas.getContext('2d');
    pen.drawImage(image, 0, 0);
    return [...pen.getImageData(Math.floor(x * canvas.width), Math.floor(y * canvas.height), 1, 1).data].slice(0, 3);
  }, [y, x]);
  const far = (a, b) => Math.max(...a.map((value, i) => Math.abs(value - b[i])));
  const maskLies = async what => {
    for (const place of plan.inside) assert.ok(far(await pixel(0, place), plan.colour) < 8, `${what}: no mask at ${place}`);
    for (const place of plan.outside) assert.ok(far(await pixel(0, place), plan.colour) > 8, `${what}: a mask at ${place}`);
  };
  const asked = async what => {
    await box.fill(plan.expression);
    await box.press('Enter');
    await says(`“${plan.expression}”`);
    await fine();
    await maskLies(what);
  };
  const changed = async act => {
    const before = await panel(0).getAttribute('src');
    await act();
    await page.waitForFunction(([image, src]) => image.src !== src, [await panel(0).elementHandle(), before]);
  };

  await explorer.locator('.tv-strip button').nth(19).waitFor();
  await nameless(explorer);

  // the opacity, by keyboard alone
  const opacity = explorer.getByRole('spinbutton', { name: 'opacity' });
  await opacity.focus();
  for (let i = 0; i < 4; i++) await changed(() => page.keyboard.press('ArrowUp'));
  assert.equal(await opacity.inputValue(), '1');

  // a sentence, typed
  await explorer.locator('.tv-picture select').selectOption({ label: plan.label });
  await says(plan.begins);
  await asked('typed');
  log('typed: the mask lies where it should');

  // a candidate
  const card = explorer.locator('.tv-strip .tv-card').filter({ has: page.getByRole('button', { name: 'no. 5', exact: true }) });
  const neighbour = await panel(1).getAttribute('src');
  await card.getByRole('button').click();
  await says('number 5 of 20');
  await explorer.locator('.tv-card.tv-chosen').filter({ hasText: 'no. 5' }).waitFor();
  assert.notEqual(await panel(1).getAttribute('src'), neighbour, 'the neighbour looks the same');
  await fine();
  log('a candidate enriches');

  // every layer
  for (const button of await explorer.locator('.tv-layer button').all()) {
    const name = (await button.innerText()).trim();
    await button.click();
    await says(new RegExp(`^${name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}:`));
    await fine();
    assert.ok(await panel(0).evaluate(async image => { await image.decode(); return image.naturalWidth > 50; }), `${name}: no picture`);
    if (plan.shots) await page.screenshot({ path: join(out, `${kind}-${name}.png`) });
  }
  assert.equal(await explorer.locator('.tv-panel:visible').count(), 4, 'four variants');
  log('every layer shows');

  // a word that nobody knows, and none at all
  await explorer.locator('.tv-layer button').first().click();
  await box.fill('left wuffwuff');
  await box.press('Enter');
  await says("does not know 'wuffwuff'");
  await box.fill('');
  await box.press('Enter');
  await says('holds no word');
  log('an unknown word is named');

  // a picture of one's own, and a file that is none
  const upload = async file => {
    const [chooser] = await Promise.all([page.waitForEvent('filechooser'), explorer.locator('.tv-upload').click()]);
    await chooser.setFiles(file);
  };
  await upload(plan.noPicture);
  await says('whatever its name says');
  await explorer.locator('.tv-picture select').selectOption({ label: plan.other });
  await says(plan.otherBegins);
  await changed(() => upload(plan.picture));
  await explorer.locator('.tv-picture option').filter({ hasText: 'yours' }).waitFor({ state: 'attached' });
  await asked('uploaded');
  log('an uploaded picture is answered');
  await page.screenshot({ path: join(out, `${kind}.png`) });
}

// Every control has a name that a screen reader can say.
async function nameless(explorer) {
  const tree = await explorer.ariaSnapshot();
  const controls = tree.split('\n').filter(line => /^\s*- (button|textbox|combobox|slider|spinbutton|listbox|checkbox)\b/.test(line));
  assert.ok(controls.length > 35, `few controls:\n${tree}`);
  const unnamed = controls.filter(line => !/^\s*- \w+ "[^"]+"|^\s*- '\w+ ".+"/.test(line));
  assert.deepEqual(unnamed, [], 'controls without a name');
}
