// A classic script, for it must run before the first paint: a stored theme would flash otherwise.
{
  const stored = localStorage.getItem("theme");
  if (stored) document.documentElement.dataset.theme = stored;
}
