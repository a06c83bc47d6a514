"use strict";
/* page.js ADMIN_PORT LOCKED_ADMIN_PORT TOKEN SCREENSHOTS: what a person would see, and must not see:
   an error, a request to somebody else, a page wider than a phone. */
const fs = require("node:fs");
const puppeteer = require("puppeteer-core");

const [admin, locked, token, folder] = process.argv.slice(2);
const base = "http://127.0.0.1:" + admin + "/";
const chromium = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]
  .find((path) => fs.existsSync(path));
let failed = 0;

async function check(name, body) {
  const began = Date.now();
  try {
    await body();
    console.log("ok page: " + name + " (" + (Date.now() - began) + " ms)");
  } catch (e) {
    failed++;
    console.log("FAILED page: " + name + "\n" + e.message);
  }
}

function expect(holds, text) {
  if (!holds) throw new Error(text);
}

/* Notes what the browser complains about and whom it asks. */
function watch(page, origin) {
  const wrong = [];
  page.on("console", (m) => ["error", "warn"].includes(m.type()) && wrong.push("console: " + m.text()));
  page.on("pageerror", (e) => wrong.push("error: " + e.message));
  page.on("requestfailed", (r) => wrong.push("failed: " + r.url()));
  page.on("request", (r) => r.url().startsWith(origin) || wrong.push("asks elsewhere: " + r.url()));
  return wrong;
}

const text = (page, id) => page.$eval("#" + id, (e) => e.textContent);

async function number(page, id) {
  const t = (await text(page, id)).replace(/,/g, "");
  return parseFloat(t) * ({ k: 1e3, M: 1e6 }[t.slice(-1)] || 1);
}

/* Until it holds in the page, which asks for new numbers each second. */
const becomes = (page, holds, ...args) => page.waitForFunction(holds, { timeout: 15000, polling: 100 }, ...args);

/* The browser has laid out and painted what it was told before. */
const painted = (page) => page.evaluate(() =>
  new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));

async function shoot(page, name, width, scheme) {
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  await page.setViewport({ width, height: 800, deviceScaleFactor: width < 500 ? 2 : 1 });
  await becomes(page, (w, s) => innerWidth === w && matchMedia("(prefers-color-scheme: " + s + ")").matches,
    width, scheme);
  await painted(page);
  await page.screenshot({ path: folder + "/" + name + ".png", fullPage: true });
  return page.evaluate(() => ({
    needs: document.documentElement.scrollWidth,
    ground: getComputedStyle(document.body).backgroundColor,
  }));
}

async function main() {
  const browser = await puppeteer.launch({
    executablePath: chromium,
    headless: true,
    args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
  });
  const page = await browser.newPage();
  const wrong = watch(page, base);

  await check("loads and shows the cluster", async () => {
    const answer = await page.goto(base);
    expect(/default-src 'none'/.test(answer.headers()["content-security-policy"]), "no strict policy");
    await page.waitForSelector("#main:not([hidden])", { timeout: 5000 });
    expect((await text(page, "health")) === "ready", "it does not say that it is ready");
    expect((await page.$$(".shard")).length === 3, "not three shards");
    expect((await page.$$("#workers tr")).length === 2, "not two workers");
  });

  await check("numbers move under load", async () => {
    await page.waitForFunction(
      () => [...document.querySelectorAll("#commands td.key")].length > 3 &&
        document.querySelector("#p99").textContent !== "–" &&
        !document.querySelector("#slow td.none") && !document.querySelector("#hot td.none") &&
        !document.querySelector("#big td.none") && !document.querySelector("#client-rows td.none"), { timeout: 15000, polling: 200 });
    for (let i = 0; i < 3; i++) {
      const rate = await number(page, "rate");
      expect(rate > 100, "a rate of " + rate);
      const shown = await text(page, "rate");
      await becomes(page, (before) => document.querySelector("#rate").textContent !== before, shown)
        .catch(() => expect(false, "the rate stands still"));
    }
    expect((await number(page, "clients")) >= 20, "too few clients");
  });

  await check("shows some clients and what they hold", async () => {
    const handle = await page.waitForFunction(() => { /* while a worker is slow to answer there are fewer */
      const all = [...document.querySelectorAll("#client-rows tr")];
      const held = all.some((row) => row.textContent.includes("slow-reader") && row.querySelector(".warn"));
      return held && all.length > 3 && all.map((row) => row.innerText);
    }, { timeout: 15000, polling: 200 });
    const rows = await handle.jsonValue();
    expect(rows.length <= 12, rows.length + " rows");
    expect(rows[0].includes("slow-reader"), "who holds most is not the first: " + rows[0]);
    expect(rows.slice(1).every((r) => /127\.0\.0\.1:\d+/.test(r)), "no addresses: " + rows[1]);
  });

  await check("fits a phone, and a wide screen, dark and light", async () => {
    const grounds = new Set();
    await becomes(page, () => /* so that the screenshots show a line */
      document.querySelector("#rate-line polyline").getAttribute("points").split(" ").length > 5);
    for (const [name, width, scheme] of [
      ["wide-light", 1280, "light"], ["wide-dark", 1280, "dark"], ["tablet-light", 768, "light"],
      ["phone-light", 360, "light"], ["phone-dark", 360, "dark"],
    ]) {
      const { needs, ground } = await shoot(page, name, width, scheme);
      expect(needs <= width, name + " needs " + needs + " of " + width + " pixels");
      grounds.add(ground);
    }
    expect(grounds.size === 2, "dark and light look the same");
  });

  await check("no error in the console, no request to elsewhere", async () => {
    expect(wrong.length === 0, wrong.join("\n"));
  });

  await check("asks for the token, and takes it", async () => {
    const other = await browser.newPage();
    await other.goto("http://127.0.0.1:" + locked + "/");
    await other.waitForSelector("#login:not([hidden])", { timeout: 5000 });
    await other.type("#token", "wrong");
    await other.click("#login button");
    await other.waitForFunction(() => /not the token/.test(document.querySelector("#refused").textContent),
      { timeout: 5000 });
    await shoot(other, "login", 360, "light");
    await other.type("#token", token);
    await other.click("#login button");
    await other.waitForSelector("#main:not([hidden])", { timeout: 5000 });
    await becomes(other, () => document.querySelector("#rate-line polyline") !== null); /* two answers */
    await shoot(other, "idle", 1280, "light");
    await other.close();
  });

  await browser.close();
  process.exit(failed === 0 ? 0 : 1);
}

main().catch((e) => {
  console.log("FAILED page: " + e.message);
  process.exit(1);
});
