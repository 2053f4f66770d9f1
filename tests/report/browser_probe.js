'use strict';
// Appended to a page by browser.py: uses it as a person would and leaves what it found in the document.
(() => {
  const found = {views: {}, errors: window.pageErrors};
  const all = (selector) => [...document.querySelectorAll(selector)];
  const press = (element, key) => element.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true, cancelable: true}));
  const selected = () => document.querySelector('[role=tab][aria-selected=true]').id.slice(4);
  const isDrawn = (canvas) => {
    const {width, height} = canvas;
    return width > 0 && canvas.getContext('2d').getImageData(0, 0, width, height).data.some((value) => value > 0);
  };
  const look = () => ({charts: all('canvas').length, drawn: all('canvas').filter(isDrawn).length,
    labelled: all('canvas[aria-label][tabindex="0"]').length, drawings: all('.drawing svg').length,
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth});

  // Every view, from tab to tab by the keyboard.
  const tabs = all('[role=tab]').length;
  for (let i = 0; i < tabs; ++i) {
    found.views[selected()] = look();
    const tab = document.activeElement.getAttribute('role') === 'tab' ? document.activeElement : document.querySelector('[aria-selected=true]');
    press(tab, 'ArrowRight');
  }
  found.around = selected();
  press(document.activeElement, 'End');
  found.end = selected();
  found.fragment = location.hash;

  const button = document.getElementById('theme'), themes = [];
  for (let i = 0; i < 3; ++i) {
    button.click();
    themes.push([button.textContent, document.documentElement.dataset.theme, getComputedStyle(document.body).backgroundColor]);
  }
  found.themes = themes;
  found.title = document.getElementById('title').firstChild.textContent;

  const go = (view) => { const tab = document.getElementById(`tab-${view}`); if (tab) tab.click(); return Boolean(tab); };
  if (go('latency')) {
    const canvas = document.querySelector('canvas'), figure = canvas.closest('figure');
    const reset = [...figure.querySelectorAll('button')].find((one) => one.textContent === 'Reset zoom');
    found.zoom = [reset.hidden];
    press(canvas, '+');
    found.zoom.push(reset.hidden);
    press(canvas, '0');
    found.zoom.push(reset.hidden);
    [...figure.querySelectorAll('button')].find((one) => one.textContent === 'Table').click();
    found.table = figure.querySelectorAll('tbody tr').length;
    const files = [];
    const click = HTMLAnchorElement.prototype.click;
    HTMLAnchorElement.prototype.click = function () { files.push(this.download); };
    [...figure.querySelectorAll('button')].find((one) => one.textContent === 'CSV').click();
    HTMLAnchorElement.prototype.click = click;
    found.files = files;
  }
  if (go('points')) {
    const rows = () => all('main tbody tr').length, input = document.querySelector('input[type=search]');
    const filter = (text) => { input.value = text; input.dispatchEvent(new Event('input')); return rows(); };
    found.filter = {all: rows(), seed: filter('seed=2'), both: filter('seed=2 network=hose'), none: filter('seed>2'), fragment: location.hash};
    filter('');
    const heading = () => [...document.querySelectorAll('th button')].find((one) => one.textContent === 'point');
    heading().click();
    heading().click();
    found.sorted = [heading().closest('th').getAttribute('aria-sort'), document.querySelector('main tbody tr td:nth-child(2)').textContent];
    for (const box of all('main tbody input').slice(0, 2)) box.click();
    found.pair = all('.card thead th').map((cell) => cell.textContent);
  }
  const result = document.createElement('script');
  result.type = 'application/json';
  result.id = 'found';
  result.textContent = JSON.stringify(found).replaceAll('<', '\\u003c');
  document.body.replaceChildren(result);
})();
