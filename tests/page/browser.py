"""The page in Debian's Chromium: a live broadcast, waves, answers, filter, timeline, actions, dark mode, 320 px, keyboard, axe.

    browser.py PROGRAM [--tasks N]

Starts a simulated fleet, sends a broadcast to it, and watches the page. Screenshots are left in target/page.
"""

import argparse
import contextlib
import http.server
import json
import os
import pathlib
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

from playwright.sync_api import sync_playwright

HERE = pathlib.Path(__file__).resolve().parent
PICTURES = HERE.parents[1] / "target" / "page"
AXE = HERE / "node_modules" / "axe-core" / "axe.min.js"
CHROMIUM = "/usr/bin/chromium"
PATIENCE_S = 90
QUEUES = {"OBSERVER": "ecs_service_notification", "SERVICES": "ecs_service", "TASKS": "ecs_service_task"}
HOSTILE = "<script>window.hacked=1</script><img src=x onerror='window.hacked=2'>"
SERVICE = """
[[cluster.service]]
name = "{name}"
launch_type = "FARGATE"
tasks = {tasks}
[[cluster.service.container]]
name = "app"
ports = [8080]
labels = {{ NOTIFY_ME_CONTAINER_PORT = "8080", NOTIFY_ME_API_URI = "/notify" }}
answers = [{answer}]
"""


def fleet(tasks):
    services = [SERVICE.format(name=f"web-{number}", tasks=tasks // 6, answer="{ delay_ms = 400 }") for number in range(6)]
    services.append(SERVICE.format(name="hostile", tasks=2, answer=f'{{ status = 403, body = "{HOSTILE}" }}'))
    services.append(SERVICE.format(name="missing", tasks=5, answer="{ status = 404 }"))
    stuck = SERVICE.format(name="stuck", tasks=3, answer="{ hang = true }")
    refusing = SERVICE.format(name="refusing", tasks=2, answer="{ status = 403 }, { status = 200 }")
    waves = SERVICE.format(name="waves", tasks=10, answer="{ status = 200 }")
    bodies = [("checkout", 6, '{"version": "v42"}'), ("search", 3, '{"version": "v41"}'), ("markup", 1, HOSTILE)]
    asked = "".join(SERVICE.format(name=name, tasks=tasks, answer=f"{{ body = {json.dumps(body)} }}") for name, tasks, body in bodies)
    clusters = {"prod": "".join(services), "stuck": stuck, "refusing": refusing, "waves": waves, "asked": asked}
    return "".join(f'[[cluster]]\nname = "{name}"\n{services}' for name, services in clusters.items())


class Programs(contextlib.ExitStack):
    """Runs of the program, ended at the end."""

    def __init__(self, program, folder):
        super().__init__()
        self.program, self.folder = program, folder
        self.environment = {
            "PATH": os.environ["PATH"], "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true", "NOTIFIER_ALLOW_NETWORKS": "127.0.0.0/8", "NOTIFIER_SIGNING_SECRET": "none",
            "NOTIFIER_LEDGER": f"sqlite:{folder}/ledger.db",
        }

    def start(self, *arguments):
        process = subprocess.Popen(
            [self.program, "--quiet", *arguments], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.callback(process.wait)
        self.callback(process.terminate)
        return process

    def run(self, *arguments):
        """The exit code of a run that ends by itself."""
        process = self.start(*arguments)
        process.stdout.read()
        return process.wait(PATIENCE_S)

    def recorded(self):
        """How many items the ledger has."""
        with contextlib.closing(sqlite3.connect(f"file:{self.folder}/ledger.db?mode=ro", uri=True)) as ledger:
            try:
                return ledger.execute("SELECT count(*) FROM items").fetchone()[0]
            except sqlite3.OperationalError:  # No table yet.
                return 0

    def page(self, *arguments):
        return self.start("page", "--listen", "127.0.0.1:0", *arguments).stdout.readline().strip()


def until(what, condition):
    limit = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < limit, f"not within {PATIENCE_S} s: {what}"
        time.sleep(0.05)


class Browser:
    def __init__(self, browser):
        self.browser, self.errors = browser, []

    def show(self):
        """What every open page shows, after a failure."""
        for context in self.browser.contexts:
            for page in context.pages:
                picture(page, "failure")
                print(page.url, page.inner_text("body")[:2_000], file=sys.stderr)

    def open(self, **options):
        context = self.browser.new_context(**options)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_S * 1000)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        # The browser's own line about a refused request is not an error of the page.
        ours = lambda message: message.type == "error" and "Failed to load resource" not in message.text
        page.on("console", lambda message: self.errors.append(message.text) if ours(message) else None)
        return page


def axe(page, name):
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    serious = [(one["id"], one["help"], [node["html"][:120] for node in one["nodes"][:3]]) for one in found if one["impact"] in ("serious", "critical")]
    assert not serious, f"{name}: {serious}"
    print(f"axe: {name}: {len(found)} lesser findings {[one['id'] for one in found]}")


def picture(page, name, whole=True):
    page.screenshot(path=PICTURES / f"{name}.png", full_page=whole)


def logs_in(browser, url):
    page = browser.open()
    page.goto(url)
    page.wait_for_selector("h1:has-text('Broadcasts')")
    assert "token" not in page.url, page.url
    [cookie] = page.context.cookies()
    assert cookie["httpOnly"] and cookie["sameSite"] == "Strict", cookie
    assert page.evaluate("document.cookie") == ""
    return page


def opens(page, broadcast):
    link = page.locator(f"a[href='broadcast?id={broadcast}']")
    until("the broadcast is listed", lambda: link.count() or page.reload() and False)
    link.click()
    page.wait_for_selector("#sentence")


def watches(page, tasks, programs):
    assert "no record of a broadcast" in page.inner_text("main")
    sending = programs.start("send", "-c", "prod", "--id", "b-live", "--concurrency", "96", "--format", "csv")
    threading.Thread(target=sending.stdout.read, daemon=True).start()
    # However slow this machine is: the sender goes on only when the page showed what it had done so far.
    until("outcomes are recorded", lambda: programs.recorded() > 200)
    sending.send_signal(signal.SIGSTOP)
    opens(page, "b-live")
    seen = [page.inner_text("#sentence")]
    for step in range(3):
        before = programs.recorded()
        sending.send_signal(signal.SIGCONT)
        until("more is recorded", lambda: programs.recorded() > before)
        sending.send_signal(signal.SIGSTOP)
        until("the page follows", lambda: page.inner_text("#sentence") != seen[-1])
        seen.append(page.inner_text("#sentence"))
        assert not seen[-1].startswith("Ended"), seen
        if step == 1:
            picture(page, "running")
    sending.send_signal(signal.SIGCONT)
    until("the page shows the end", lambda: page.inner_text("#sentence").startswith("Ended"))
    seen.append(page.inner_text("#sentence"))
    assert seen[-1].startswith(f"Ended: {tasks:,} of {tasks + 7:,} containers notified"), seen
    until("the figures follow", lambda: f"{tasks:,} delivered" in page.inner_text("#live-figures .legend"))
    assert sending.wait(PATIENCE_S) == 1
    print(f"live: {len(seen)} changes: {seen[0]} … {seen[-1]}")


def filters(page):
    # By keyboard alone.
    page.focus("select[name=outcome]")
    page.keyboard.type("rejected")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type("hostile")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("outcome=rejected.*service=hostile"))
    assert page.locator("table.rows tbody tr").count() == 2
    assert HOSTILE in page.inner_text("table.rows"), page.inner_text("table.rows")
    assert page.evaluate("window.hacked") is None
    page.focus("table.rows a")
    page.keyboard.press("Enter")
    page.wait_for_selector(".timeline")
    timeline = page.inner_text(".timeline")
    assert "Recorded as rejected after 1 attempt, last answer 403" in timeline and HOSTILE in timeline, timeline
    axe(page, "task")
    picture(page, "timeline")
    page.go_back()


def keyboard(page):
    page.reload()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    reached = set()
    for _ in range(80):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.name || document.activeElement.getAttribute('aria-label') || document.activeElement.tagName"))
        if page.evaluate("document.activeElement === document.body"):
            break
    assert {"outcome", "cause", "service", "text", "Services", "Containers"} <= reached, reached


def looks(browser, page):
    """Light, dark, narrow."""
    url, cookies = page.url.split("&")[0], page.context.cookies()
    home = url.split("broadcast?")[0]
    for name, options in [
        ("light", {"viewport": {"width": 1280, "height": 900}}),
        ("dark", {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"}),
        ("narrow", {"viewport": {"width": 320, "height": 640}}),
        ("narrow-dark", {"viewport": {"width": 320, "height": 640}, "color_scheme": "dark", "reduced_motion": "reduce"}),
    ]:
        other = browser.open(**options)
        other.context.add_cookies(cookies)
        for address, kind in [(url, "broadcast"), (home, "list")]:
            other.goto(address)
            other.wait_for_selector("table")
            axe(other, f"{kind}-{name}")
            picture(other, f"{kind}-{name}")
            picture(other, f"{kind}-{name}-top", whole=False)  # docs/page.png is one of these
            width = other.evaluate("document.documentElement.scrollWidth")
            assert width <= options["viewport"]["width"], f"{kind}-{name}: {width} px wide"
        other.context.close()


def acts(browser, programs):
    """The action is there only with the flag, and needs the id."""
    programs.start("send", "-c", "stuck", "--id", "b-stuck", "--timeout-ms", "600000")
    reader, actor = logs_in(browser, programs.page()), logs_in(browser, programs.page("--allow-actions"))
    for page in (reader, actor):
        opens(page, "b-stuck")
    assert reader.locator("a[href^='cancel?']").count() == 0
    actor.click("a[href^='cancel?']")
    axe(actor, "cancel")
    for typed, says in [("b-wrong", "nothing was cancelled"), ("b-stuck", "Cancelled:")]:
        actor.fill("input[name=confirm]", typed)
        actor.fill("input[name=reason]", "wrong cache")
        actor.click("button")
        actor.wait_for_selector(f"text={says}")
    assert "wrong cache" in actor.inner_text("main")
    until("the other viewer sees it", lambda: reader.inner_text("#sentence").startswith("Cancelled"))


SIZES = {"wide": {"width": 1280, "height": 900}, "narrow": {"width": 320, "height": 640}}


def fits(browser, page, name):
    """The same page in both widths: axe, a picture, and no scrolling sideways."""
    for size, viewport in SIZES.items():
        other = browser.open(viewport=viewport)
        other.context.add_cookies(page.context.cookies())
        other.goto(page.url)
        other.wait_for_selector("h1")
        axe(other, f"{name}-{size}")
        picture(other, f"{name}-{size}")
        width = other.evaluate("document.documentElement.scrollWidth")
        assert width <= viewport["width"], f"{name}-{size}: {width} px wide"
        other.context.close()


def paces(browser, programs):
    """A broadcast in waves. Its pauses are ended on the page, by keyboard, and every viewer follows."""
    sending = programs.start("send", "-c", "waves", "--id", "b-waves", "--waves", "1,50%", "--pause", "manual")
    reader, page = logs_in(browser, programs.page()), logs_in(browser, programs.page("--allow-actions"))
    for one in (reader, page):
        opens(one, "b-waves")
        until("the first wave has ended", lambda: one.inner_text("#sentence").startswith("Waiting after wave 1 of 3: 1 of 10"))
        one.wait_for_selector("text=wave 2 begins when somebody continues")
    assert reader.locator("a[href^='continue?']").count() == 0
    fits(browser, page, "paused")
    for wave in (1, 2):
        page.wait_for_selector(f"text=Continue after wave {wave}")
        page.focus("a[href^='continue?']")
        page.keyboard.press("Enter")
        page.wait_for_selector("input[name=confirm]")
        if wave == 1:
            fits(browser, page, "continue")
            page.fill("input[name=confirm]", "b-wrong")
            page.keyboard.press("Enter")
            page.wait_for_selector("text=nothing was continued")
        page.fill("input[name=confirm]", "b-waves")
        page.keyboard.press("Enter")
        page.wait_for_selector("#sentence")
    for one in (reader, page):
        until("the page shows the end", lambda: one.inner_text("#sentence").startswith("Ended: 10 of 10"))
    assert sending.wait(PATIENCE_S) == 0
    page.reload()
    page.select_option("select[name=wave]", "3")
    page.click("button:has-text('Filter')")
    page.wait_for_selector("text=1 to 5 of 5 containers")


def answers(browser, programs):
    """Recorded answers are text in groups; late tasks have a mark and a filter."""
    assert programs.run("ask", "-c", "asked", "--id", "q-1", "--type", "com.example.status", "--keep") == 0
    assert programs.run("send", "-c", "asked", "--id", "b-late") == 0
    # The simulator of the command line starts no task later.
    outcome = '"outcome":"delivered"'
    change = "UPDATE items SET body = replace(body, ?, ?) WHERE partition LIKE '%#b-late' AND body LIKE '%checkout%' AND body LIKE ?"
    with contextlib.closing(sqlite3.connect(f"{programs.folder}/ledger.db", timeout=PATIENCE_S)) as ledger:
        changed = ledger.execute(change, (outcome, f'{outcome},"late":true', f"%{outcome}%")).rowcount
        ledger.commit()
    assert changed == 6, changed
    page = logs_in(browser, programs.page())
    opens(page, "q-1")
    table = page.inner_text("[aria-label=Answers]")
    assert '{"version":"v42"}' in table and "hacked=1" in table and "3 distinct answers of 10 containers" in table, table
    assert page.evaluate("window.hacked") is None
    fits(browser, page, "answers")
    page.click("header a")
    opens(page, "b-late")
    assert "Tasks found" in page.inner_text("#live-figures")
    page.click("text=6 late containers")
    page.wait_for_selector("text=1 to 6 of 6 containers")
    assert page.locator("table.rows .badge:has-text('late')").count() == 6
    fits(browser, page, "late")


def redrives(browser, programs):
    """Dead letters go back, by keyboard, and the result is shown. The link is there only if the page knows the queues."""
    queues = f"{programs.environment['AWS_ENDPOINT_URL']}/111122223333"
    programs.environment |= {f"NOTIFIER_{name}_QUEUE_URL": f"{queues}/{queue}_us-east-1" for name, queue in QUEUES.items()}
    daemon = programs.start("serve", "--listen", "none", "--log-level", "error")
    publish = programs.start("publish", "-c", "refusing", "--id", "b-refused", f"--wait={PATIENCE_S}")
    publish.stdout.read()
    assert publish.wait(PATIENCE_S) == 1
    page = logs_in(browser, programs.page("--allow-actions"))
    opens(page, "b-refused")
    page.click("a[href^='redrive?']")
    axe(page, "redrive")
    page.fill("input[name=confirm]", "b-wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=nothing was sent back")
    page.fill("input[name=confirm]", "b-refused")
    page.keyboard.press("Enter")
    # It loads again by itself until the redrive has ended.
    page.wait_for_selector("text=2 dead letters are back on the queues.")
    axe(page, "redriven")
    picture(page, "redriven")
    page.click("text=Back to the broadcast")
    until("the tasks accept the second call", lambda: "2 of 2 containers notified" in page.inner_text("#sentence") or page.reload() and False)
    daemon.terminate()


def without_scripts(browser, url):
    page = browser.open(java_script_enabled=False)
    address, token = url.split("#token=")
    page.goto(address)
    page.fill("input[name=token]", "wrong")
    page.click("button")
    assert "This is not the token." in page.inner_text("main")
    page.fill("input[name=token]", token)
    page.click("button")
    page.wait_for_selector("h1:has-text('Broadcasts')")
    page.click("a[href='broadcast?id=b-live']")
    page.select_option("select[name=outcome]", "rejected")
    page.click("button:has-text('Filter')")
    assert "1 to 7 of 7 containers" in page.inner_text("table.rows caption")
    picture(page, "without-scripts")


def other_sites(browser, page):
    """A page at another port is the same site, so its requests have the cookie, and are refused all the same."""
    class Site(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>another site</title>")

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Site) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        home = page.url.split("broadcast?")[0]
        other = page.context.new_page()
        other.goto(f"http://127.0.0.1:{site.server_port}/")
        for mode in ("cors", "no-cors"):
            asked = "([url, mode]) => fetch(url, {credentials: 'include', mode}).then(() => true, () => false)"
            assert not other.evaluate(asked, [f"{home}broadcast.json?id=b-live", mode]), mode
        # The same request of the page itself succeeds.
        assert page.evaluate("(url) => fetch(url).then((answer) => answer.ok)", f"{home}broadcast.json?id=b-live")
        other.close()
        site.shutdown()


def scenes(browser, programs, url, tasks):
    page = browser.open()
    page.goto(url.split("#")[0])
    axe(page, "login")
    page.context.close()
    page = logs_in(browser, url)
    watches(page, tasks, programs)
    filters(page)
    keyboard(page)
    looks(browser, page)
    without_scripts(browser, url)
    other_sites(browser, page)
    acts(browser, programs)
    paces(browser, programs)
    answers(browser, programs)
    redrives(browser, programs)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("program")
    options.add_argument("--tasks", type=int, default=3_000)
    options = options.parse_args()
    if not os.path.exists(CHROMIUM):
        sys.exit(f"there is no {CHROMIUM}: apt-get install chromium")
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, Programs(os.path.abspath(options.program), folder) as programs:
        file = pathlib.Path(folder) / "fleet.toml"
        file.write_text(fleet(options.tasks))
        programs.environment["AWS_ENDPOINT_URL"] = programs.start("simulate", "--fleet", str(file)).stdout.readline().strip()
        # An empty ledger: only what calls tasks makes a file.
        (pathlib.Path(folder) / "ledger.db").touch()
        url = programs.page()
        with sync_playwright() as playwright:
            browser = Browser(playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"]))
            try:
                scenes(browser, programs, url, options.tasks)
            except BaseException:
                browser.show()
                raise
            assert not browser.errors, browser.errors
    print(f"the page works; screenshots are in {PICTURES.relative_to(HERE.parents[1])}")


if __name__ == "__main__":
    main()
