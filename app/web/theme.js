// Runs before the first paint, so that a chosen theme does not flash; hence no module.
{
  const stored = localStorage.getItem("theme");
  if (stored) document.documentElement.dataset.theme = stored;
}
