// Pieces of the page. Everything that is shown is text: nothing that comes from a node or from an entry is ever markup.

/** The element with this id, of the kind that page.html has there. */
export function byId<Kind extends HTMLElement>(id: string, kind: new () => Kind): Kind {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`page.html has no ${kind.name} called ${id}`);
  return found;
}

/** An element with texts and elements in it. */
export function element(tag: string, ...content: readonly (string | Node)[]): HTMLElement {
  const made = document.createElement(tag);
  made.append(...content);
  return made;
}

/** A row of a table, of cells `td` or `th`. */
export function row(cells: readonly (string | Node)[], tag: 'td' | 'th' = 'td'): HTMLElement {
  return element(
    'tr',
    ...cells.map((cell) => {
      const made = element(tag, cell);
      if (tag === 'th') made.setAttribute('scope', 'col');
      return made;
    }),
  );
}

/** Says in `output` what happened, or what went wrong. */
export function say(output: HTMLElement, sentence: string, isFault = false): void {
  output.textContent = sentence;
  output.classList.toggle('fault', isFault);
}
