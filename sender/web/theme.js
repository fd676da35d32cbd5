// Before anything is drawn: light or dark as chosen here before, else as the device has it.
{
  let chosen = null;
  try {
    chosen = localStorage.getItem('unisono.theme');
  } catch {
    // Forbidden: the device's own it is.
  }
  if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen;
}
