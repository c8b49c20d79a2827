// A reader's hands on the explorer: by mouse and by keyboard, on a wide and on a narrow page.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

const far = (a, b) => Math.max(...a.map((value, i) => Math.abs(value - b[i])));
const escaped = name => name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

// What a reader sees and does, in words.
function reader({ page, explorer, plan }) {
  const status = explorer.locator('.tv-status:visible');
  const box = explorer.getByRole('textbox', { name: 'expression' });
  const panel = k => explorer.locator('.tv-panel:visible img').nth(k);
  const says = async text => {
    const fault = status.getByText('This should not have happened');
    await status.getByText(text).or(fault).first().waitFor();
    assert.equal(await fault.count(), 0, await status.innerText());
  };
  const press = name => explorer.getByRole('button', { name, exact: true }).click();
  const fine = async () => assert.equal(await explorer.locator('.tv-wrong:visible').count(), 0, await status.innerText());
  // The pixel of a panel at a share of its height and width.
  const pixel = (k, place) => panel(k).evaluate(async (image, [y, x]) => {
    await image.decode();
    const canvas = Object.assign(document.createElement('canvas'), { width: image.naturalWidth, height: image.naturalHeight });
    const pen = canvas.getContext('2d');
    pen.drawImage(image, 0, 0);
    return [...pen.getImageData(Math.floor(x * canvas.width), Math.floor(y * canvas.height), 1, 1).data].slice(0, 3);
  }, place);
  const maskLies = async what => {
    for (const place of plan.inside) assert.ok(far(await pixel(0, place), plan.colour) < 8, `${what}: no mask at ${place}`);
    for (const place of plan.outside) assert.ok(far(await pixel(0, place), plan.colour) > 8, `${what}: a mask at ${place}`);
  };
  const asked = async text => {
    await box.fill(text);
    await box.press('Enter');
    await says(`“${text}”`);
    await fine();
  };
  const changed = async act => {
    const before = await panel(0).getAttribute('src');
    await act();
    await page.waitForFunction(([image, src]) => image.src !== src, [await panel(0).elementHandle(), before]);
  };
  // Wholly inside the window, without scrolling.
  const inView = async (locator, what) => {
    const frame = await locator.boundingBox(), { width, height } = page.viewportSize();
    const seen = frame && frame.x >= 0 && frame.y >= 0 && frame.x + frame.width <= width && frame.y + frame.height <= height;
    assert.ok(seen, `${what} is not in view: ${JSON.stringify(frame)}`);
  };
  const layer = async (group, name) => {
    await press(group);
    if (name) await press(name);
    await says(new RegExp(`^${escaped(name ?? plan.groups[group][0])}:`));
    await fine();
  };
  return { status, box, panel, says, press, fine, pixel, maskLies, asked, changed, inView, layer };
}

export async function use(given) {
  const { page, explorer, plan, kind, log, shot } = given;
  const { status, box, panel, says, press, fine, maskLies, asked, changed, inView, layer } = reader(given);
  await explorer.locator('.tv-strip:visible button').nth(19).waitFor();
  await nameless(explorer);
  await shot('first');
  if (kind === 'voila') { // it opens on the tool itself
    await inView(explorer.getByRole('heading', { name: 'What does the network see?' }), 'the question');
    await inView(box, 'the expression');
    await inView(panel(0), 'the mask');
  }

  // a sentence, typed; full opacity, by keyboard alone
  await explorer.locator('.tv-picture select').selectOption({ label: plan.label });
  await says(plan.begins);
  const opacity = explorer.getByRole('slider', { name: 'opacity' });
  await changed(async () => { await opacity.focus(); await page.keyboard.press('End'); });
  assert.equal(await opacity.inputValue(), '1');
  await asked(plan.expression);
  await maskLies('typed');
  log('typed: the mask lies where it should');

  // a candidate
  const neighbour = await panel(1).getAttribute('src');
  const card = explorer.locator('.tv-strip .tv-card').filter({ has: page.getByRole('button', { name: 'no. 5', exact: true }) });
  await card.getByRole('button').click();
  await says('number 5 of 20');
  await explorer.locator('.tv-card.tv-chosen').filter({ hasText: 'no. 5' }).waitFor();
  assert.notEqual(await panel(1).getAttribute('src'), neighbour, 'the neighbour looks the same');
  await fine();
  log('a candidate enriches');

  // every layer
  for (const [group, names] of Object.entries(plan.groups)) {
    for (const name of names) {
      await layer(group, names.length > 1 ? name : null);
      assert.ok(await panel(0).evaluate(async image => { await image.decode(); return image.naturalWidth > 50; }), `${name}: no picture`);
      if (plan.shots) await shot(name);
    }
  }
  assert.equal(await explorer.locator('.tv-panel:visible').count(), 4, 'four variants');
  log('every layer shows');

  // pointing at a cell; the wiper, by keyboard
  await layer('RES: the neighbour', 'attention A_l');
  await changed(() => panel(0).hover({ position: { x: 60, y: 60 }, force: true }));
  const row = await explorer.getByRole('spinbutton', { name: 'cell row' }).inputValue();
  await changed(() => panel(0).hover({ position: { x: 200, y: 140 }, force: true }));
  assert.notEqual(await explorer.getByRole('spinbutton', { name: 'cell row' }).inputValue(), row);
  await layer('AMF: the detail', 'before and after AMF');
  await changed(async () => { await explorer.getByRole('slider', { name: 'before and after' }).focus(); await page.keyboard.press('End'); });
  log('a cell is pointed at, before and after are wiped');

  // a link that restores it
  const link = explorer.locator('.tv-link');
  const state = await link.innerText();
  if (kind === 'voila') {
    await link.locator('a[href*="wipe=1.0"]').waitFor(); // it comes after the panels
    const address = await link.getByRole('link').getAttribute('href');
    assert.match(address, /layer=before\+and\+after\+AMF.*wipe=1\.0/);
    plan.address = address;
  } else assert.match(state, /^tvnet\.Explorer\(state="picture=/);

  // under none no place is blank
  await layer('the answer', 'mask');
  await press('none');
  await says('no neighbour enriches');
  assert.equal(await explorer.locator('.tv-panel:visible').count(), 2, 'none: a place is blank');

  // a word that nobody knows, and none at all
  await box.fill('left wuffwuff');
  await box.press('Enter');
  await says("does not know 'wuffwuff'");
  if (kind === 'voila') for (const [seen, what] of [[status, 'the warning'], [panel(0), 'the result']]) await inView(seen, what);
  await shot('unknown');
  await box.fill('');
  await box.press('Enter');
  await says('holds no word');
  log('an unknown word is named');

  // the examples, each by one press on the keyboard
  const lessons = explorer.locator('.tv-lessons button');
  assert.equal(await lessons.count(), 4);
  for (const lesson of await lessons.all()) {
    await lesson.focus();
    await page.keyboard.press('Enter');
    await explorer.locator('.tv-lesson p').filter({ hasText: plan.lessons[(await lesson.innerText()).trim()] }).waitFor();
    await fine();
    await shot(`lesson ${(await lesson.innerText()).trim()}`);
  }
  log('every example shows its lesson');
  await pictures(given);
  if (kind !== 'voila') return;
  await page.goto(new URL(plan.address, page.url()).href, { timeout: 45_000, waitUntil: 'commit' });
  await explorer.locator('.tv-panel img').first().waitFor({ timeout: 90_000 });
  await says('before and after AMF: ');
  assert.equal(await explorer.getByRole('slider', { name: 'before and after' }).inputValue(), '1');
  log('the link restores the state');
}

// A picture of the reader's: no picture, chosen, dropped.
async function pictures(given) {
  const { page, explorer, plan, log, shot } = given;
  const { says, press, panel, asked, maskLies } = reader(given);
  await press('Your pictures');
  const choose = async file => {
    const [chooser] = await Promise.all([page.waitForEvent('filechooser'), explorer.locator('.tv-upload').click()]);
    await chooser.setFiles(file);
  };
  await choose(plan.noPicture);
  await says('is no picture of the kinds');
  await choose(plan.picture);
  await says('What should the network look for?');
  await asked(plan.expression);
  await explorer.locator('.tv-panel:visible').nth(2).waitFor();
  const [saved] = await Promise.all([page.waitForEvent('download'), explorer.getByRole('link', { name: 'download the mask' }).click()]);
  assert.equal(saved.suggestedFilename(), 'mine-mask.png');
  assert.equal(readFileSync(await saved.path()).subarray(1, 4).toString(), 'PNG');
  await shot('yours');
  log('an uploaded picture is answered');

  const content = readFileSync(plan.picture).toString('base64');
  const files = await page.evaluateHandle(text => {
    const transfer = new DataTransfer(), bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
    transfer.items.add(new File([bytes], 'dropped.png', { type: 'image/png' }));
    return transfer;
  }, content);
  await explorer.locator('.tv-drop').dispatchEvent('drop', { dataTransfer: files });
  await explorer.getByRole('link', { name: 'download the mask' }).and(page.locator('[download="dropped-mask.png"]')).waitFor();
  log('a dropped picture is answered');
  await press('look inside: every layer');
  await explorer.locator('.tv-picture option').filter({ hasText: 'yours · dropped.png' }).waitFor({ state: 'attached' });
  await says(`“${plan.expression}”`);
  await press('the answer');
  await press('mask');
  const opacity = explorer.getByRole('slider', { name: 'opacity' });
  await opacity.focus();
  await page.keyboard.press('Home');
  await page.keyboard.press('End');
  await page.waitForTimeout(500);
  await maskLies('dropped');
  assert.ok(await panel(0).isVisible());
}

// A telephone: nothing is cut, what was asked and what came of it are in view, a finger points.
export async function narrow(given) {
  const { page, explorer, plan, log, shot } = given;
  const { status, box, says, panel, inView, layer, changed, press, asked } = reader(given);
  await explorer.locator('.tv-strip:visible button').nth(19).waitFor();
  const wide = () => page.evaluate(() => document.documentElement.scrollWidth);
  const uncut = async what => assert.ok(await wide() <= 390, `${what}: ${await wide()} pixels wide`);
  await uncut('the first view');
  await shot('first');
  for (const select of await explorer.locator('select:visible').all()) {
    const frame = await select.boundingBox();
    assert.ok(frame.x >= 0 && frame.x + frame.width <= 390 && frame.width > 200, `a select is cut: ${JSON.stringify(frame)}`);
  }
  await box.fill('left wuffwuff');
  await box.press('Enter');
  await says("does not know 'wuffwuff'");
  for (const [seen, what] of [[box, 'the expression'], [status, 'the warning'], [panel(0), 'the result']]) await inView(seen, what);
  await shot('unknown');
  await layer('RES: the neighbour', 'attention A_l');
  await changed(() => panel(0).click({ position: { x: 100, y: 100 }, force: true }));
  await uncut('attention');
  await shot('attention');
  for (const group of Object.keys(plan.groups)) {
    await layer(group);
    await uncut(group);
  }
  await press('a word that matters');
  await explorer.locator('.tv-lesson p').waitFor();
  await shot('lesson');

  // by keyboard alone: to the other tab and into its field
  await explorer.getByRole('button', { name: 'Your pictures', exact: true }).focus();
  await page.keyboard.press('Enter');
  const upload = explorer.locator('button.tv-upload, .tv-upload button').first();
  await explorer.getByText('Choose a picture, then say what to look for.').waitFor(); // the kernel has opened the tab
  let chooser = null;
  for (let tries = 0; !chooser && tries < 5; tries++) { // a widget that is being redrawn may miss a key
    await upload.focus();
    const opened = page.waitForEvent('filechooser', { timeout: 3000 }).catch(() => null);
    await page.keyboard.press('Enter');
    chooser = await opened;
  }
  assert.ok(chooser, 'the button opens no dialogue for a file');
  await chooser.setFiles(plan.picture);
  await says('What should the network look for?');
  await asked(plan.expression);
  await uncut('your pictures');
  await shot('yours');
  log('a narrow page works');
}

// Every control has a name that a screen reader can say.
async function nameless(explorer) {
  const tree = await explorer.ariaSnapshot();
  const controls = tree.split('\n').filter(line => /^\s*- (button|textbox|combobox|slider|spinbutton|listbox|checkbox)\b/.test(line));
  assert.ok(controls.length > 35, `few controls:\n${tree}`);
  const unnamed = controls.filter(line => !/^\s*- \w+ "[^"]+"|^\s*- '\w+ ".+"/.test(line));
  assert.deepEqual(unnamed, [], 'controls without a name');
}
