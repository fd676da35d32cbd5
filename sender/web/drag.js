// Dragging a bead along its room: the crossing under the finger grows, letting go there patches, Escape or letting go
// anywhere else cancels.

import { boxAt } from './geometry.js';

/** A finger that moves less has tapped. */
const SLACK = 6;

/**
 * Lets the beads in `patch`, the crossings of one room, be dragged. `drop(crossing)` is called with the one let go at.
 */
export function draggable(patch, drop) {
  patch.addEventListener('pointerdown', (event) => {
    const bead = event.target.closest('.x.on');
    if (!bead || event.button !== 0) return;
    const crossings = [...patch.querySelectorAll('.x')];
    const [x, y] = [event.clientX, event.clientY];
    let moved = false;
    let over = null;

    const move = ({ clientX, clientY }) => {
      const [dx, dy] = [clientX - x, clientY - y];
      if (!moved && Math.hypot(dx, dy) < SLACK) return;
      if (!moved) bead.setPointerCapture(event.pointerId);
      moved = true;
      bead.classList.add('held');
      // The bead follows along its column alone (its row, on a phone).
      const along = crossings.length < 2 || crossings[0].offsetTop !== crossings[1].offsetTop;
      bead.style.setProperty('--drag', `${along ? 0 : dx}px ${along ? dy : 0}px`);
      const at = boxAt(crossings.map((crossing) => crossing.getBoundingClientRect()), clientX, clientY);
      over?.classList.remove('over');
      over = crossings[at] ?? null;
      over?.classList.add('over');
    };
    const end = (dropped) => {
      for (const [name, listener] of listeners) removeEventListener(name, listener, true);
      bead.classList.remove('held');
      bead.style.removeProperty('--drag');
      over?.classList.remove('over');
      if (!moved) return;
      // The click that follows a drag is none.
      addEventListener('click', swallow, { capture: true, once: true });
      setTimeout(() => removeEventListener('click', swallow, true));
      if (dropped && over && over !== bead) drop(over);
    };
    const listeners = [
      ['pointermove', move],
      ['pointerup', () => end(true)],
      ['pointercancel', () => end(false)],
      ['keydown', (key) => key.key === 'Escape' && end(false)],
    ];
    for (const [name, listener] of listeners) addEventListener(name, listener, true);
  });
}

function swallow(event) {
  event.preventDefault();
  event.stopPropagation();
}
