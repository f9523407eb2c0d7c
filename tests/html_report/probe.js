// Looks at a report as a reader with a screen of this width would, and returns what is wrong.
(screenWidth) => {
  const problems = [];
  const all = (selector) => [...document.querySelectorAll(selector)];
  const name = (element) => `<${element.tagName} class="${element.getAttribute("class") ?? ""}"> ${element.textContent.trim().slice(0, 40)}`;

  // Not innerWidth: phones zoom out until a page that is too wide fits.
  const wide = document.documentElement.scrollWidth - screenWidth;
  if (wide > 0) {
    const guilty = all("body *").filter((e) => !e.closest(".scroll") && !e.closest("pre") && e.getBoundingClientRect().right > screenWidth + 0.5);
    problems.push(`the page is ${wide} px too wide: ${guilty.slice(0, 5).map(name).join(" | ")}`);
  }

  for (const link of all("a[href]")) {
    const target = link.getAttribute("href");
    if (!target.startsWith("#")) problems.push(`a link leaves the page: ${target}`);
    else if (!document.getElementById(target.slice(1))) problems.push(`a link leads nowhere: ${target}`);
  }
  const ids = all("[id]").map((element) => element.id);
  const known = new Set();
  for (const id of ids) known.has(id) ? problems.push(`an id stands twice: ${id}`) : known.add(id);

  let level = 0;
  for (const heading of all("h1,h2,h3,h4,h5,h6")) {
    const next = Number(heading.tagName[1]);
    if (next > level + 1) problems.push(`a heading leaves out a level: ${name(heading)}`);
    level = next;
  }
  if (all("h1").length !== 1) problems.push(`${all("h1").length} headings of the first level`);

  // Some pictures are drawn twice, for wide and for narrow screens.
  const pictures = all("svg:not([aria-hidden])").filter((picture) => picture.checkVisibility());
  for (const picture of pictures) {
    const label = picture.querySelector(":scope > title")?.textContent ?? "";
    if (picture.getAttribute("role") !== "img" || !label) problems.push(`a picture without role or title: ${name(picture)}`);
    const box = picture.getBBox();
    const shapes = picture.querySelectorAll("rect,path,line,polyline,text").length;
    if (!(box.width > 0 && box.height > 0) || shapes < 3) problems.push(`an empty picture: ${label}`);
    const view = picture.viewBox.baseVal;
    const out = [...picture.querySelectorAll("rect,text,path")].filter((shape) => {
      const b = shape.getBBox();
      return b.x < view.x - 1.5 || b.y < view.y - 1.5 || b.x + b.width > view.x + view.width + 1.5 || b.y + b.height > view.y + view.height + 1.5;
    });
    if (out.length) problems.push(`clipped in '${label}': ${out.slice(0, 3).map(name).join(" | ")}`);
    // Texts that lie on each other cannot be read.
    const texts = [...picture.querySelectorAll("text")].map((text) => [text, text.getBBox()]).filter(([, b]) => b.width > 0);
    let clashes = 0;
    for (let i = 0; i < Math.min(texts.length, 400); i++) {
      for (let j = 0; j < i; j++) {
        const [a, b] = [texts[i][1], texts[j][1]];
        const x = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
        const y = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
        if (x > 1 && y > 4 && clashes++ < 3) problems.push(`texts overlap in '${label}': ${name(texts[i][0])} | ${name(texts[j][0])}`);
      }
    }
  }

  // So can neither a name that is cut nor one that lies on a curve or a mark.
  const short = [];
  for (const picture of pictures) {
    for (const text of picture.querySelectorAll("text")) {
      if (text.textContent.endsWith("…")) short.push(text.textContent);
      const box = text.getBBox();
      const inside = (x, y) => x > box.x && x < box.x + box.width && y > box.y + 2 && y < box.y + box.height - 2;
      for (const curve of picture.querySelectorAll("polyline.curve,path.point")) {
        const length = curve.getTotalLength();
        const touches = Array.from({ length: 201 }, (_, at) => curve.getPointAtLength((length * at) / 200)).some((p) => inside(p.x, p.y));
        if (touches) problems.push(`a curve passes through '${text.textContent}'`);
      }
    }
  }

  // Contrast of every text with what lies beneath it, by WCAG 2.
  const rgb = (text) => (text.match(/[\d.]+/g) ?? []).map(Number);
  const luminance = ([r, g, b]) => {
    const part = (v) => ((v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const contrast = (a, b) => {
    const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
    return (high + 0.05) / (low + 0.05);
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = rgb(getComputedStyle(at).backgroundColor);
      if (color.length === 3 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const rects = new Map();
  const rectsOf = (svg) => {
    if (!rects.has(svg)) {
      const filled = [...svg.querySelectorAll("rect")].map((rect) => [rect, rect.getBBox(), getComputedStyle(rect).fill]);
      rects.set(svg, filled.filter(([, , fill]) => fill.startsWith("rgb")));
    }
    return rects.get(svg);
  };
  const beneath = (text) => {
    const box = text.getBBox();
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    let found = null;
    for (const [rect, b, fill] of rectsOf(text.closest("svg"))) {
      const under = x > b.x && x < b.x + b.width && y > b.y && y < b.y + b.height;
      if (under && rect.compareDocumentPosition(text) & Node.DOCUMENT_POSITION_FOLLOWING) found = rgb(fill);
    }
    return found ?? ground(text.closest("svg").parentElement);
  };
  const weak = new Map();
  const check = (element, ink, paper) => {
    const value = contrast(ink, paper);
    if (value < 4.5) weak.set(`${element.tagName}.${element.getAttribute("class") ?? ""} ${ink} on ${paper}: ${value.toFixed(2)}`, name(element));
  };
  for (const element of all("body *")) {
    if (element.closest("svg") || !element.checkVisibility()) continue;
    const own = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
    if (own) check(element, rgb(getComputedStyle(element).color), ground(element));
  }
  let looked = 0;
  for (const text of pictures.flatMap((picture) => [...picture.querySelectorAll("text")])) {
    if (looked++ > 600) break;
    check(text, rgb(getComputedStyle(text).fill), beneath(text));
  }
  for (const [what, where] of weak) problems.push(`weak contrast: ${what} at ${where}`);

  // A link to a folded text opens it.
  const folded = document.querySelector("details[id]");
  if (folded) {
    folded.open = false;
    location.hash = `#${folded.id}`;
    dispatchEvent(new Event("hashchange"));
    if (!folded.open) problems.push("a link to a folded explanation does not open it");
    folded.open = false;
    history.replaceState(null, "", location.pathname);
    scrollTo(0, 0);
  }
  return { problems, short, pictures: pictures.length, background: getComputedStyle(document.body).backgroundColor };
}
