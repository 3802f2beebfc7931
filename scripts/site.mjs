// `npm run site`: the documents as a small site, and a reference of all calls, in dist/site. It is read from disk as from a server: every link is
// relative, nothing comes from outside, and there is no script. The list of pages is docs/README.md.
// usage: node scripts/site.mjs [folder]

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { register } from 'node:module';
import { dirname, join, posix, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import markdownIt from 'markdown-it';
import { documents, isFolder, ROOT, slugOf, targetOf } from './markdown.mjs';

const STYLE = `
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --link: light-dark(#0550ae, #79b8ff); }
* { box-sizing: border-box; }
body { margin: 0; font: 16px/1.55 system-ui, sans-serif; display: grid; grid-template-columns: 16rem minmax(0, 1fr); }
nav { border-right: 1px solid var(--line); padding: 1rem; font-size: 0.9rem; height: 100vh; overflow: auto; position: sticky; top: 0; }
nav h2 { font-size: 0.8rem; margin: 1.2rem 0 0.3rem; opacity: 0.75; }
nav ul { list-style: none; margin: 0; padding: 0; }
nav [aria-current] { font-weight: 600; }
main { padding: 1rem 2rem 4rem; max-width: 62rem; }
a { color: var(--link); }
h1, h2, h3 { line-height: 1.25; }
pre, table { overflow-x: auto; display: block; }
pre { background: var(--soft); border: 1px solid var(--line); border-radius: 4px; padding: 0.7rem; }
code { font: 0.88em/1.45 ui-monospace, monospace; }
table { border-collapse: collapse; }
th, td { border: 1px solid var(--line); padding: 0.3rem 0.6rem; text-align: left; vertical-align: top; }
img { max-width: 100%; }
@media (max-width: 50rem) { body { display: block; } nav { height: auto; position: static; border-right: 0; border-bottom: 1px solid var(--line); } main { padding: 1rem; } }
`;

const read = (path) => readFileSync(join(ROOT, path), 'utf8');
const escaped = (text) => text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);

/** Where a document is in the site. */
const pageOf = (path) => (path === 'README.md' ? 'index.html' : path.replace(/README\.md$/, 'index.html').replace(/\.md$/, '.html'));

/** From one page to another path of the site. */
const between = (from, to) => posix.relative(posix.dirname(from), to) || posix.basename(to);

/** The list of pages: the sections of docs/README.md, with the first link of each line. */
export function sections() {
  const found = [];
  for (const line of read('docs/README.md').split('\n')) {
    const [, title] = /^## (.+)$/.exec(line) ?? [];
    if (title !== undefined) found.push({ title, pages: [] });
    const [, name, link] = /^\* \[([^\]]+)\]\(([^)]+)\)/.exec(line) ?? [];
    if (link !== undefined) found.at(-1).pages.push({ name, path: targetOf('docs/README.md', link).path });
  }
  return found;
}

/** Everything below a path that is not a document, such as an example: copied as it is, and a folder gets a list of what is in it. */
function copies(path) {
  if (!isFolder(path)) return [[path, readFileSync(join(ROOT, path))]];
  const names = readdirSync(join(ROOT, path), { withFileTypes: true }).filter(
    ({ name }) => !name.startsWith('.') && name !== 'node_modules',
  );
  const items = names.map(
    (entry) => `<li><a href="${entry.name}${entry.isDirectory() ? '/index.html' : ''}">${escaped(entry.name)}</a></li>`,
  );
  const list = page(`${path}/index.html`, path, `<h1>${escaped(path)}/</h1>\n<ul>${items.join('\n')}</ul>`);
  return [[`${path}/index.html`, list], ...names.flatMap(({ name }) => copies(posix.join(path, name)))];
}

function page(at, title, body) {
  const groups = sections().map(({ title: group, pages }) => {
    const items = pages.map(({ name, path }) => {
      const to = path.endsWith('.md') ? pageOf(path) : `${path}/index.html`;
      return `<li><a href="${between(at, to)}"${to === at ? ' aria-current="page"' : ''}>${escaped(name.replaceAll('`', ''))}</a></li>`;
    });
    return `<h2>${escaped(group)}</h2>\n<ul>\n${items.join('\n')}\n</ul>`;
  });
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="content-security-policy" content="default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'">
<title>${escaped(title)}${title === 'LogLog' ? '' : ' · LogLog'}</title>
<style>${STYLE}</style>
<nav>
${groups.join('\n')}
<h2>Reference</h2>
<ul><li><a href="${between(at, 'api/index.html')}">All calls</a></li></ul>
</nav>
<main>
${body}
</main>
</html>
`;
}

/** A renderer for the document at `path`; `needs` is told what it links to that is no document. */
function rendererFor(path, needs) {
  const markdown = markdownIt({ html: false, linkify: false });
  const known = new Map();
  const render = (tokens, i, options, _env, self) => self.renderToken(tokens, i, options);
  markdown.renderer.rules.heading_open = (tokens, i, ...rest) => {
    tokens[i].attrSet('id', slugOf(tokens[i + 1].content, known));
    return render(tokens, i, ...rest);
  };
  markdown.renderer.rules.link_open = (tokens, i, ...rest) => {
    const target = targetOf(path, tokens[i].attrGet('href'));
    if (target !== undefined) {
      if (!target.path.endsWith('.md')) needs(target.path);
      const to = target.path.endsWith('.md') ? pageOf(target.path) : isFolder(target.path) ? `${target.path}/index.html` : target.path;
      tokens[i].attrSet('href', `${between(pageOf(path), to)}${target.anchor === '' ? '' : `#${target.anchor}`}`);
    }
    return render(tokens, i, ...rest);
  };
  markdown.renderer.rules.image = (tokens, i, options, env, self) => {
    const target = targetOf(path, tokens[i].attrGet('src'));
    if (target !== undefined) {
      needs(target.path);
      tokens[i].attrSet('src', between(pageOf(path), target.path));
    }
    tokens[i].attrSet('alt', self.renderInlineAsText(tokens[i].children, options, env));
    return render(tokens, i, options, env, self);
  };
  return markdown;
}

/** All files of the site but the reference, by their paths. */
export function renderSite() {
  const files = new Map();
  const needed = new Set();
  for (const path of documents()) {
    // What a comment tells the tests is for nobody else.
    const text = read(path).replace(/^<!-- \w+ -->$/gm, '');
    const title = (/^# (.+)$/m.exec(text)?.[1] ?? path).replaceAll('`', '');
    files.set(pageOf(path), page(pageOf(path), title, rendererFor(path, (target) => needed.add(target)).render(text)));
  }
  for (const path of needed) for (const [to, bytes] of copies(path)) if (!files.has(to)) files.set(to, bytes);
  return files;
}

/** Links of a page that lead to nothing in the site. */
export function deadPageLinks(files, at, isElsewhere = () => false) {
  const html = String(files.get(at));
  return Array.from(html.matchAll(/<(?:a href|img src)="([^"]+)"/g), ([, link]) => link).filter((link) => {
    if (/^[a-z]+:/.test(link)) return false;
    const [file, anchor = ''] = link.split('#');
    const to = file === '' ? at : posix.normalize(posix.join(posix.dirname(at), file));
    if (isElsewhere(to)) return false;
    const target = files.get(to);
    return target === undefined || (anchor !== '' && !String(target).includes(` id="${anchor}"`));
  });
}

/** TypeScript 7 has no API that typedoc could call: it gets version 6, under the name that it asks for. */
const WITH_TYPESCRIPT_6 = `
export function resolve(name, context, next) {
  return next(name === 'typescript' ? '@typescript/typescript6' : name, context);
}`;

/** The reference of all calls, by typedoc, which fails on any warning. */
async function writeReference(folder) {
  register(`data:text/javascript,${encodeURIComponent(WITH_TYPESCRIPT_6)}`);
  const { Application } = await import('typedoc');
  const application = await Application.bootstrap({
    name: 'LogLog',
    entryPoints: ['src/client/index.ts', 'src/index.ts', 'src/testing/index.ts'].map((path) => join(ROOT, path)),
    tsconfig: join(ROOT, 'tsconfig.json'),
    readme: 'none',
    excludePrivate: true,
    excludeInternal: true,
    disableSources: true,
    githubPages: false,
    treatWarningsAsErrors: true,
    skipErrorChecking: true,
  });
  const project = await application.convert();
  if (project === undefined || application.logger.hasErrors() || application.logger.hasWarnings())
    throw new Error('typedoc has something to say: see above');
  await application.generateDocs(project, folder);
  if (application.logger.hasErrors() || application.logger.hasWarnings()) throw new Error('typedoc has something to say: see above');
}

async function main(out) {
  rmSync(out, { recursive: true, force: true });
  const files = renderSite();
  for (const [path, content] of files) {
    mkdirSync(dirname(join(out, path)), { recursive: true });
    writeFileSync(join(out, path), content);
  }
  await writeReference(join(out, 'api'));
  const dead = [...files.keys()]
    .filter((path) => path.endsWith('.html'))
    .flatMap((path) => deadPageLinks(files, path, (to) => to === 'api/index.html').map((link) => `${path}: ${link}`));
  if (dead.length > 0) throw new Error(`links that lead nowhere:\n${dead.join('\n')}`);
  console.log(`${join(out, 'index.html')}: ${files.size} files, and the reference of all calls in api`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(resolve(process.argv[2] ?? join(ROOT, 'dist/site')));
