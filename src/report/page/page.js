'use strict';
// Draws what the JSON of the page holds. Text of the user reaches the page as text only, never as
// markup.
(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const sources = data.sources;
  const runs = sources.filter((source) => source.kind === 'run');

  // --- text and numbers -------------------------------------------------------------------------

  const kShort = new Intl.NumberFormat('en-US', {maximumSignificantDigits: 4});
  const kWhole = new Intl.NumberFormat('en-US', {maximumFractionDigits: 0});
  const isNumber = (value) => typeof value === 'number' && Number.isFinite(value);
  /** Four significant digits, whole from 1,000 on: 0.01234, 15.67, 45,123. */
  const figure = (value) => !isNumber(value) ? '–' :
      Math.abs(value) >= 1000                ? kWhole.format(value) :
                                               kShort.format(value);
  const percent = (share) =>
      !isNumber(share) ? '–' : `${(100 * share).toFixed(Math.abs(share) < 0.0995 ? 2 : 1)} %`;
  const signed = (share) => !isNumber(share) ? '–' :
                                               `${
                                                   share > 0     ? '+' :
                                                       share < 0 ? '−' :
                                                                   ''}${percent(Math.abs(share))}`;
  const withUnit = (value, unit) => unit ? `${figure(value)} ${unit}` : figure(value);
  const words = (name) => name.replaceAll('_', ' ');
  const kUnits = {bytes: ['B', 'kB', 'MB', 'GB', 'TB', 'PB']};
  function bytes(value) {
    if (!isNumber(value)) return '–';
    let i = 0;
    for (; Math.abs(value) >= 1000 && i + 1 < kUnits.bytes.length; ++i) value /= 1000;
    return `${figure(value)} ${kUnits.bytes[i]}`;
  }
  const shown = (value) => value === null || value === undefined ? '–' :
      typeof value === 'boolean'                                 ? (value ? 'yes' : 'no') :
      typeof value === 'number'                                  ? figure(value) :
                                                                   String(value);

  function el(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === undefined || value === null || value === false) continue;
      if (name.startsWith('on'))
        element.addEventListener(name.slice(2), value);
      else if (name === 'style')
        Object.assign(element.style, value);
      else
        element.setAttribute(name, value === true ? '' : value);
    }
    element.append(...children.flat(Infinity).filter(
        (child) => child !== null && child !== undefined && child !== ''));
    return element;
  }

  // --- where one is: the fragment keeps it ------------------------------------------------------

  const place = new URLSearchParams(location.hash.slice(1));
  function remember(key, value) {
    if (value === '' || value === null || value === undefined)
      place.delete(key);
    else
      place.set(key, value);
    history.replaceState(null, '', `#${place}`);
  }
  const recall = (key, otherwise) => place.get(key) ?? otherwise;

  // --- colours ----------------------------------------------------------------------------------

  const colour = (name) =>
      getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const series = (i) => colour(`c${i % 8}`);
  const faded = (hex, alpha) => hex + Math.round(alpha * 255).toString(16).padStart(2, '0');
  const kPoints = ['circle', 'rect', 'triangle', 'rectRot', 'rectRounded'];

  const kThemes = ['auto', 'light', 'dark'];
  const darkSystem = matchMedia('(prefers-color-scheme: dark)');
  let theme = 'auto';
  try {
    theme = localStorage.getItem('cmsim-theme') ?? 'auto';
  } catch { /* a file may have no storage */
  }
  theme = recall('theme', theme);
  function applyTheme() {
    const dark = theme === 'dark' || (theme === 'auto' && darkSystem.matches);
    document.documentElement.dataset.theme = dark ? 'dark' : 'light';
    const button = document.getElementById('theme');
    button.textContent = `Theme: ${theme}`;
    button.setAttribute('aria-label', `Colour theme: ${theme}. Change it`);
  }
  function nextTheme() {
    theme = kThemes[(kThemes.indexOf(theme) + 1) % kThemes.length];
    try {
      localStorage.setItem('cmsim-theme', theme);
    } catch { /* as above */
    }
    applyTheme();
    redraw();
  }

  // --- files ------------------------------------------------------------------------------------

  const csvCell = (value) => {
    const text = value === null || value === undefined ? '' : String(value);
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  function download(name, text, type) {
    const link = el('a', {href: URL.createObjectURL(new Blob([text], {type})), download: name});
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }
  const slug = (text) => text.toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '');
  function downloadCsv(title, table) {
    const rows = [table.head, ...table.rows()];
    download(
        `${slug(title)}.csv`, rows.map((row) => row.map(csvCell).join(',')).join('\r\n') + '\r\n',
        'text/csv');
  }

  // --- tables -----------------------------------------------------------------------------------

  const kMostShown = 300;  // rows of a table behind a chart
  const cellText = (value) => typeof value === 'number' ? figure(value) : shown(value);
  function plainTable(table) {
    const rows = table.rows();
    const numeric = table.head.map((_, i) => rows.some((row) => typeof row[i] === 'number'));
    const body =
        rows.slice(0, kMostShown)
            .map(
                (row) => el(
                    'tr', {},
                    row.map(
                        (value, i) => el(
                            'td',
                            {class: numeric[i]             ? 'num' :
                                 String(value).length > 50 ? 'wrap' :
                                                             null},
                            cellText(value)))));
    return el(
        'div', {class: 'scroll'},
        el('table', {},
           table.caption ? el('caption', {class: 'visually-hidden'}, table.caption) : null,
           el('thead', {},
              el('tr', {},
                 table.head.map(
                     (name, i) =>
                         el('th', {scope: 'col', class: numeric[i] ? 'num' : null}, name)))),
           el('tbody', {}, body)),
        rows.length > kMostShown ?
            el('p', {class: 'note'},
               `${kWhole.format(rows.length - kMostShown)} more rows are in the CSV.`) :
            null);
  }
  const facts = (pairs) =>
      el('dl', {class: 'facts'},
         pairs.filter(([, value]) => value !== null && value !== undefined && value !== '')
             .map(
                 ([name, value]) =>
                     [el('dt', {}, name),
                      el('dd', {}, value instanceof Node ? value : shown(value))]));

  // --- charts -----------------------------------------------------------------------------------

  Chart.defaults.animation = false;
  Chart.defaults.maintainAspectRatio = false;
  Chart.defaults.responsive = true;
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  Chart.defaults.font.size = 12;
  Chart.defaults.plugins.legend.labels.boxWidth = 12;
  Chart.defaults.plugins.legend.labels.boxHeight = 12;
  Chart.defaults.plugins.legend.align = 'start';
  Chart.defaults.elements.point.radius = 0;
  Chart.defaults.elements.point.hitRadius = 6;
  Chart.defaults.elements.line.borderWidth = 1.6;

  /**
   * Lines and bands with a label: limits, windows. options.plugins.marks = {lines: [{axis, value,
   * label}], band: {from, to}}
   */
  const marks = {
    id: 'marks',
    beforeDatasetsDraw(chart, _, options) {
      if (!options.band || !chart.scales.x) return;
      const {ctx, chartArea: area, scales: {x}} = chart;
      const from = Math.max(area.left, x.getPixelForValue(options.band.from)),
            to = Math.min(area.right, x.getPixelForValue(options.band.to));
      if (to <= from) return;
      ctx.save();
      ctx.fillStyle = faded(colour('accent'), 0.09);
      ctx.fillRect(from, area.top, to - from, area.bottom - area.top);
      ctx.restore();
    },
    afterDatasetsDraw(chart, _, options) {
      const {ctx, chartArea: area} = chart;
      (options.lines ?? []).forEach((line, i) => {
        const scale = chart.scales[line.axis], at = scale.getPixelForValue(line.value);
        const upright = line.axis === 'x';
        if (upright ? at < area.left || at > area.right : at < area.top || at > area.bottom) return;
        ctx.save();
        ctx.strokeStyle = ctx.fillStyle = colour(line.colour ?? 'bad');
        ctx.setLineDash([5, 4]);
        ctx.lineWidth = 1.4;
        ctx.beginPath();
        if (upright) {
          ctx.moveTo(at, area.top);
          ctx.lineTo(at, area.bottom);
        } else {
          ctx.moveTo(area.left, at);
          ctx.lineTo(area.right, at);
        }
        ctx.stroke();
        ctx.font = `11px ${Chart.defaults.font.family}`;
        const width = ctx.measureText(line.label).width;
        const x = !upright              ? area.right - width - 4 :
            at + 4 + width > area.right ? at - 4 - width :
                                          at + 4,
              y = upright ? area.top + 11 + 14 * i : at - 4;
        ctx.setLineDash([]);
        ctx.strokeStyle = colour('card');
        ctx.lineWidth = 4;
        ctx.strokeText(line.label, x, y);
        ctx.fillText(line.label, x, y);
        ctx.restore();
      });
    },
  };
  /** Half widths of intervals as whiskers: dataset.halves, by point. */
  const whiskers = {
    id: 'whiskers',
    afterDatasetsDraw(chart) {
      const {ctx, chartArea: area, scales: {y}} = chart;
      chart.data.datasets.forEach((set, i) => {
        if (!set.halves || !chart.isDatasetVisible(i)) return;
        ctx.save();
        ctx.strokeStyle = set.borderColor;
        ctx.lineWidth = 1.2;
        ctx.beginPath();
        ctx.rect(
            area.left - 6, area.top - 2, area.right - area.left + 12, area.bottom - area.top + 4);
        ctx.clip();
        chart.getDatasetMeta(i).data.forEach((point, j) => {
          const half = set.halves[j], value = set.data[j]?.y ?? set.data[j];
          if (!isNumber(half) || !isNumber(value) || point.skip) return;
          const top = y.getPixelForValue(value + half), bottom = y.getPixelForValue(value - half);
          ctx.beginPath();
          ctx.moveTo(point.x, top);
          ctx.lineTo(point.x, bottom);
          ctx.moveTo(point.x - 4, top);
          ctx.lineTo(point.x + 4, top);
          ctx.moveTo(point.x - 4, bottom);
          ctx.lineTo(point.x + 4, bottom);
          ctx.stroke();
        });
        ctx.restore();
      });
    },
  };
  /** Names of the segments of stacked bars, where they fit. */
  const segments = {
    id: 'segments',
    afterDatasetsDraw(chart, _, options) {
      if (!options.show) return;
      const {ctx} = chart;
      ctx.save();
      ctx.font = `11px ${Chart.defaults.font.family}`;
      ctx.textAlign = 'center';
      ctx.textBaseline = 'middle';
      chart.data.datasets.forEach((set, i) => chart.getDatasetMeta(i).data.forEach((bar, j) => {
        if (!isNumber(set.data[j]) || set.data[j] === 0) return;
        const {x, base, y} = bar.getProps(['x', 'base', 'y']), width = Math.abs(x - base);
        if (ctx.measureText(set.label).width + 8 > width) return;
        ctx.fillStyle = document.documentElement.dataset.theme === 'dark' ? '#0f151b' : '#ffffff';
        ctx.fillText(set.label, (x + base) / 2, y);
      }));
      ctx.restore();
    },
  };
  Chart.register(marks, whiskers, segments);

  const axis = (title, more = {}) => ({
    title: {display: Boolean(title), text: title, color: colour('muted')},
    grid: {color: colour('line'), borderColor: colour('line')},
    ...more,
    ticks: {
      color: colour('muted'),
      maxRotation: 0,
      autoSkipPadding: 14,
      includeBounds: false,
      callback: tick,
      ...more.ticks
    },
  });
  function tick(value) {
    if (this.type === 'category') return this.getLabelForValue(value);
    if (this.type === 'logarithmic' && Math.log10(Math.abs(value)) % 1 !== 0 &&
        !['2', '5'].includes(String(value).replace(/[0.]/g, '')[0]))
      return '';
    return Math.abs(value) >= 1e6 ?
        new Intl.NumberFormat('en-US', {notation: 'compact'}).format(value) :
        figure(value);
  }
  const percentTick = {ticks: {callback: (value) => `${kShort.format(100 * value)} %`}};

  const live = new Set();  // charts of the view that is shown
  let building = null;     // what redraw() calls

  /**
   * spec: title, note, height, config() of Chart.js, table {head, rows()}, zoom: whether the x
   * axis can be zoomed, legend.
   */
  function chart(spec) {
    const canvas = el('canvas', {
      role: 'img',
      tabindex: 0,
      'aria-label': `${spec.title}. ${spec.note ?? ''} The table button shows the numbers.`
    });
    const box = el('div', {class: 'box', style: {height: `${spec.height ?? 260}px`}}, canvas);
    const behind = el('div', {hidden: true});
    const reset =
        el('button', {type: 'button', hidden: true, onclick: () => zoomTo(instance, null, reset)},
           'Reset zoom');
    const toggle =
        el('button', {
          type: 'button',
          'aria-expanded': 'false',
          onclick: () => {
            behind.hidden = !behind.hidden;
            toggle.setAttribute('aria-expanded', String(!behind.hidden));
            if (!behind.hidden)
              behind.replaceChildren(plainTable({caption: spec.title, ...spec.table}));
          }
        },
           'Table');
    const tools =
        el('div', {class: 'tools'}, reset, toggle,
           el('button', {
             type: 'button',
             'aria-label': `Download ${spec.title} as CSV`,
             onclick: () => downloadCsv(spec.title, spec.table)
           },
              'CSV'));
    const whole =
        el('figure', {},
           el('div', {class: 'head'},
              el('figcaption', {}, el('h3', {}, spec.title),
                 spec.note ? el('p', {class: 'note'}, spec.note) : null),
              tools),
           spec.legend ?? null, box, behind);
    let instance = null;
    pending.push(() => {
      const config = spec.config();
      config.options ??= {};
      config.options.plugins ??= {};
      const legend = config.options.plugins.legend ??= {};
      legend.labels = {
        ...Chart.defaults.plugins.legend.labels,
        color: colour('ink'),
        ...legend.labels
      };
      config.options.plugins.tooltip = {
        backgroundColor: colour('ink'),
        titleColor: colour('card'),
        bodyColor: colour('card'),
        ...config.options.plugins.tooltip
      };
      instance = new Chart(canvas, config);
      live.add(instance);
      if (spec.zoom) addZoom(box, canvas, instance, reset);
    });
    return whole;
  }
  const pending = [];  // charts are made when their boxes have a size

  function zoomTo(instance, range, reset) {
    const x = instance.options.scales.x;
    x.min = range ? range[0] : undefined;
    x.max = range ? range[1] : undefined;
    reset.hidden = !range;
    instance.update('none');
  }
  /** Drag over a range; + and -, arrows and 0 on the keyboard; a double click shows all again. */
  function addZoom(box, canvas, instance, reset) {
    const scale = () => instance.scales.x;
    let from = null, brush = null;
    const inside = (event) => Math.min(
        Math.max(event.clientX - canvas.getBoundingClientRect().left, instance.chartArea.left),
        instance.chartArea.right);
    canvas.addEventListener('pointerdown', (event) => {
      if (event.pointerType === 'touch') return;
      from = inside(event);
      brush = box.appendChild(el('div', {class: 'brush'}));
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener('pointermove', (event) => {
      if (from === null) return;
      const to = inside(event);
      Object.assign(
          brush.style, {left: `${Math.min(from, to)}px`, width: `${Math.abs(to - from)}px`});
    });
    const end = (event) => {
      if (from === null) return;
      const ends = [from, inside(event)].sort((a, b) => a - b);
      if (ends[1] - ends[0] > 8)
        zoomTo(instance, ends.map((pixel) => scale().getValueForPixel(pixel)), reset);
      brush.remove();
      from = null;
    };
    canvas.addEventListener('pointerup', end);
    canvas.addEventListener('pointercancel', end);
    canvas.addEventListener('dblclick', () => zoomTo(instance, null, reset));
    canvas.addEventListener('keydown', (event) => {
      const {min, max} = scale(), span = max - min;
      const moves =
          {'+': [0.2, -0.2], '-': [-0.3, 0.3], ArrowLeft: [-0.2, -0.2], ArrowRight: [0.2, 0.2]};
      if (event.key === '0' || event.key === 'Escape')
        zoomTo(instance, null, reset);
      else if (moves[event.key])
        zoomTo(instance, moves[event.key].map((share, i) => (i ? max : min) + share * span), reset);
      else
        return;
      event.preventDefault();
    });
    canvas.setAttribute('aria-keyshortcuts', '+ - ArrowLeft ArrowRight 0');
  }

  const kLineLegend = {usePointStyle: true, pointStyle: 'line', boxWidth: 26},
        kPointLegend = {usePointStyle: true, boxWidth: 7, boxHeight: 7};
  const lines = (datasets, {x, y, marks: marked, stacked, tooltip, legend, xs = {}, ys = {}}) =>
      () => ({
        type: 'line',
        data: {datasets: datasets()},
        options: {
          parsing: false,
          normalized: true,
          interaction: {mode: 'nearest', axis: 'x', intersect: false},
          scales: {
            x: axis(x, {type: 'linear', ...xs}),
            y: axis(y, {beginAtZero: true, stacked, ...ys})
          },
          plugins: {
            marks: marked ?? {},
            tooltip: tooltip ?? {},
            legend: {display: legend ?? true, labels: kLineLegend}
          },
        },
      });

  // --- a run ------------------------------------------------------------------------------------

  const kNames = {ttft_ms: 'TTFT', tpot_ms: 'TPOT', itl_ms: 'ITL', e2el_ms: 'E2E'};
  const kLong = {
    ttft_ms: 'Time to first token (TTFT)',
    tpot_ms: 'Time per output token (TPOT)',
    itl_ms: 'Inter-token latency (ITL)',
    e2el_ms: 'End-to-end latency (E2E)'
  };

  function badge(text, kind) {
    const sign = {good: '✓', bad: '✗', warn: '!'}[kind];
    return el('span', {class: `badge ${kind}`}, `${sign} ${text}`);
  }

  function verdict(result) {
    const {load, window: part, requests} = result, slo = part.slo;
    const badges = [badge(`Load ${load.verdict}`, load.verdict === 'stable' ? 'good' : 'bad')];
    if (slo.ttft_ms !== null || slo.tpot_ms !== null) {
      badges.push(badge(
          slo.met_at_p99      ? 'SLO met at p99' :
              slo.met_on_mean ? 'SLO met on the mean, not at p99' :
                                'SLO missed',
          slo.met_at_p99      ? 'good' :
              slo.met_on_mean ? 'warn' :
                                'bad'));
    }
    const all = requests.finished === requests.total;
    badges.push(badge(
        `${kWhole.format(requests.finished)} of ${kWhole.format(requests.total)} requests finished`,
        all ? 'good' : 'warn'));
    if (!part.steady) badges.push(badge('not a steady state', 'warn'));
    if (result.partial) badges.push(badge('ended early', 'bad'));
    const faults = /--(?:fail|degrade) (?:'[^']*'|\S+)/g;
    for (const fault of result.provenance.command.match(faults) ?? [])
      badges.push(badge(fault.slice(2).replace(' ', ': '), 'warn'));
    return el('div', {class: 'verdict'}, badges);
  }

  function notices(result) {
    const {provenance: from, window: part, load, uplinks} = result, list = [];
    for (const item of from.extrapolated ?? []) {
      const range = Array.isArray(item.validated) ?
          [...new Set(item.validated)].map(figure).join(' to ') :
          shown(item.validated);
      list.push(`Extrapolated: ${item.what} is ${shown(item.value)}; held against measurements at ${
          range}.`);
    }
    for (const pointer of from.borrowed ?? [])
      list.push(`Borrowed from another device or model: ${pointer}.`);
    if (part.why_not)
      list.push(`Not steady: ${part.why_not}${
          part.needed_s ? ` (arrivals would have to last ${figure(part.needed_s)} s)` : ''}.`);
    if (from.network_note) list.push(`Network: ${from.network_note}.`);
    if (from.trace_dropped)
      list.push(`${kWhole.format(from.trace_dropped)} rows of the trace were dropped: ${
          from.trace_dropped_reason}.`);
    for (const key of from.trace_retired ?? [])
      list.push(`Of the scenario's own trace, and retired for this one: ${key}.`);
    if (load.why_no_rate) list.push(`No rate of arrival: ${load.why_no_rate}.`);
    if (uplinks && !uplinks.in_paths && uplinks.pressure > 1)
      list.push(`Uplinks are not in the paths of flows, and would have been asked for ${
          figure(uplinks.pressure)} times what they carry: transfers may come out too fast.`);
    if (result.cache?.imposed_reuse)
      list.push(`Assumed: a cache hit rate of ${
          percent(result.cache.imposed_reuse)}, imposed by the scenario.`);
    if (result.bands)
      list.push(`Assumed ranges: ${
          result.band_constants.length} constants that have one were varied at once over ${
          result.band_samples} samples; Provenance lists them.`);
    return list;
  }
  function noticesBox(result) {
    const list = notices(result);
    if (list.length === 0) return null;
    return el(
        'section', {class: 'notices', 'aria-label': 'Read with care'},
        el('h3', {}, 'Read with care'), el('ul', {}, list.map((text) => el('li', {}, text))));
  }

  function bandText(result, name, unit) {
    const band = result.bands?.[name];
    if (!band) return null;
    const mover = band.dominant ? `, moved most by ${band.dominant}` : '';
    return el(
        'div', {
          class: 'sub',
          title: `5th to 95th percentile over ${
              result.band_samples} samples of the constants that have a range${mover}`
        },
        `band ${figure(band.low)} to ${figure(band.high)} ${unit}`);
  }
  function headlines(result) {
    const part = result.window, slo = part.slo;
    const card = (label, value, unit, subs) => isNumber(value) &&
        el('div', {class: 'card'}, el('div', {class: 'label'}, label),
           el('div', {class: 'value'}, figure(value), ' ', el('small', {}, unit)),
           subs.filter(Boolean).map(
               (sub) => sub instanceof Node ? sub : el('div', {class: 'sub'}, sub)));
    const latency = (key, band) => {
      const of = part[key], limit = slo[key];
      if (!of) return null;
      return card(`${kNames[key]}, mean`, of.mean, 'ms', [
        `p50 ${figure(of.median)} · p99 ${figure(of.p99)} ms`,
        isNumber(limit) &&
            el('div', {class: `sub ${of.p99 <= limit ? 'good' : 'bad'}`},
               `limit ${figure(limit)} ms, kept by ${percent(slo[`share_${key.slice(0, 4)}`])}`),
        bandText(result, band, 'ms')
      ]);
    };
    return el('div', {class: 'cards'}, [
      card(
          'Goodput', part.request_goodput, 'req/s',
          [
            `keep the SLO, of ${figure(part.request_throughput)} that finish`,
            bandText(result, 'goodput', 'req/s')
          ]),
      card(
          'Output tokens', part.output_throughput, 'tok/s',
          [bandText(result, 'output_throughput', 'tok/s')]),
      latency('ttft_ms', 'ttft'),
      latency('tpot_ms', 'tpot'),
      latency('itl_ms', ''),
      card(
          'E2E, mean', part.e2el_ms && part.e2el_ms.mean / 1e3, 's',
          part.e2el_ms ? [`p50 ${figure(part.e2el_ms.median / 1e3)} · p99 ${
                             figure(part.e2el_ms.p99 / 1e3)} s`] :
                         []),
      card(
          part.decode?.prompts ? 'Mixed instances' : 'Decode',
          part.decode_tokens_per_second_per_npu, 'tok/s per NPU',
          [
            part.decode?.prompts &&
                `output; beside them ${
                    figure(part.decode.prompts.tokens_per_second)} prompt tok/s, ${
                    figure(part.decode.prompts.mean_tokens)} a step`,
            part.decode &&
                `${figure(part.decode.npus)} NPUs, ${percent(part.decode.utilisation)} busy`,
            bandText(result, 'tokens_per_s_per_npu', 'tok/s')
          ]),
      card(
          'Prefill', part.prefill_tokens_per_second_per_npu, 'tok/s per NPU',
          [
            part.prefill &&
                `${figure(part.prefill.npus)} NPUs, ${percent(part.prefill.utilisation)} busy`,
            bandText(result, 'prefill_tokens_per_s_per_npu', 'tok/s')
          ]),
      card(
          'NPUs that compute prompts', part.proportion?.prefill_npus, 'NPUs',
          [
            part.proportion &&
                `${figure(part.proportion.decode_npus)} decode, ${
                    figure(part.proportion.loading_npus)} load on average`,
            part.proportion && `${figure(part.proportion.changes)} changes of role in the window`
          ]),
      card(
          'Cache hits', result.cache?.enabled ? 100 * result.cache.hit_rate_by_token : null, '%',
          [
            'of prompt tokens, whole run',
            result.cache?.tiers &&
                ['dram', 'ssd']
                    .map(
                        (tier) => `${tier.toUpperCase()} ${
                            percent(result.cache.tiers[tier].hit_rate_by_token)}`)
                    .join(' · ')
          ]),
    ].filter(Boolean));
  }

  function bullet(key, result) {
    const limit = result.window.slo[key], of = result.window[key];
    if (!isNumber(limit) || !isNumber(of?.mean)) return null;
    const most = 1.15 * Math.max(limit, of.p99), at = (value) => `${100 * value / most}%`;
    const right = limit / most > 0.7;
    return el(
        'div', {class: 'card'}, el('h3', {}, `${kLong[key]} against its limit`),
        el('div', {
          class: 'bullet',
          role: 'img',
          'aria-label': `mean ${figure(of.mean)} ms, 99th percentile ${figure(of.p99)} ms, limit ${
              figure(limit)} ms`
        },
           el('i', {class: 'tail', style: {width: at(of.p99)}}),
           el('i', {style: {width: at(of.mean)}}), el('b', {style: {left: at(limit)}}),
           el('span', {
             style: {
               top: '-1.5rem',
               ...(right ? {right: `${100 - 100 * limit / most}%`} : {left: at(limit)})
             }
           },
              `limit ${figure(limit)} ms`),
           el('span', {style: {top: '1.25rem', left: '0'}},
              `mean ${figure(of.mean)} · p99 ${figure(of.p99)} ms; kept by ${
                  percent(result.window.slo[`share_${key.slice(0, 4)}`])}`)));
  }

  function barList(
      rows, text = percent, most = Math.max(...rows.map(([, value]) => value), 1e-12)) {
    return el(
        'div', {class: 'bars', role: 'list'},
        rows.map(
            ([name, value, tint]) =>
                el('div', {role: 'listitem', style: {display: 'contents'}}, el('span', {}, name),
                   el('span', {class: 'track'}, el('i', {
                        style: {
                          width: `${100 * value / most}%`,
                          background: tint ? `var(--${tint})` : null
                        }
                      })),
                   el('span', {}, text(value)))));
  }

  const phaseName = (name) => words(name);
  function phases(result) {
    const rows = Object.entries(result.window.phases ?? {});
    if (rows.length === 0) return null;
    return chart({
      title: 'Where a request spends its time',
      height: 60 + 30 * rows.length,
      note: `Mean and 99th percentile of each phase in the window, logarithmic; the slowest is ${
          phaseName(result.window.slowest_phase)}. Phases below 1 µs are not drawn.`,
      config: () => ({
        type: 'bar',
        data: {
          labels: rows.map(([name]) => phaseName(name)),
          datasets: [['mean', 'mean_ms', 0], ['p99', 'p99_ms', 5]].map(
              ([label, key, c]) => ({
                label,
                data: rows.map(([, of]) => of[key] >= 1e-3 ? of[key] : null),
                backgroundColor: series(c)
              }))
        },
        options: {
          indexAxis: 'y',
          scales: {
            x: axis('ms', {type: 'logarithmic'}),
            y: axis('', {type: 'category', grid: {display: false}, ticks: {autoSkip: false}})
          },
          plugins: {
            tooltip: {callbacks: {label: (item) => `${item.dataset.label}: ${figure(item.raw)} ms`}}
          }
        }
      }),
      table: {
        head: ['phase', 'mean ms', 'p50 ms', 'p99 ms', 'share of latency'],
        rows: () =>
            rows.map(([name, of]) => [phaseName(name), of.mean_ms, of.p50_ms, of.p99_ms, of.share])
      },
    });
  }

  function overview(run) {
    const {result} = run, binds = (result.window.binds ?? []).slice(0, 10);
    return [
      verdict(result), noticesBox(result), headlines(result),
      el('h2', {}, 'Against the limits, and what holds it back'),
      el('div', {class: 'grid'},
         el('div', {class: 'stack'}, bullet('ttft_ms', result), bullet('tpot_ms', result),
            binds.length ?
                el('div', {class: 'card'}, el('h3', {}, 'What binds, share of the window'),
                   el('p', {class: 'note'},
                      'Operators on the critical path by the time of their role, a full token budget, slots or KV space; the ten largest.'),
                   barList(binds.map(({what, share}) => [what, share]))) :
                ''),
         phases(result) ?? '')
    ];
  }

  function distribution(key, run, of) {
    const spread = run.requests[of][key];
    if (!spread) return null;
    const {histogram, quantiles, count} = spread,
                                 width = (histogram.to - histogram.from) / histogram.counts.length;
    const limit = run.result.window.slo[key], figures = run.result[of][key] ?? {};
    const scale = key === 'e2el_ms' ? 1e-3 : 1, unit = key === 'e2el_ms' ? 's' : 'ms';
    const lineAt = (value, label, tint) =>
        isNumber(value) ? {axis: 'x', value: value * scale, label, colour: tint} : null;
    const points =
        histogram.counts.map((n, i) => ({x: (histogram.from + i * width) * scale, y: n / count}));
    points.push({x: histogram.to * scale, y: points.at(-1).y});
    const cumulative = recall('dist', 'histogram') === 'cumulative';
    const itl =
        key === 'itl_ms' ? ' Of each request its mean gap; the lines are of every gap.' : '';
    return chart({
      title: `${kLong[key]}, ${kWhole.format(count)} requests`,
      note: (cumulative ? 'Share of the requests at or below.' :
                          `${kWhole.format(histogram.beyond)} above ${
                              figure(histogram.to * scale)} ${unit} are counted, not drawn.`) +
          itl,
      zoom: true,
      height: 250,
      config: () => lines(
          () => [{
            label: 'requests',
            data: cumulative ?
                quantiles.map((value, i) => ({x: value * scale, y: run.requests.shares[i]})) :
                points,
            stepped: !cumulative,
            fill: true,
            borderColor: series(0),
            backgroundColor: faded(series(0), 0.22)
          }],
          {
            x: unit,
            y: 'share of requests',
            legend: false,
            xs: cumulative ? {} : {
              min: histogram.from * scale,
              max: Math.max(
                       histogram.to,
                       isNumber(limit) && limit < 2 * histogram.to ? 1.05 * limit : 0) *
                  scale
            },
            ys: percentTick,
            marks: {
              lines: [
                lineAt(figures.median, 'p50', 'c2'), lineAt(figures.p99, 'p99', 'c4'),
                lineAt(limit, 'limit', 'bad')
              ].filter(Boolean)
            },
            tooltip: {
              callbacks: {
                title: ([item]) =>
                    `${cumulative ? 'up to' : 'from'} ${figure(item.parsed.x)} ${unit}`,
                label: (item) => `${percent(item.parsed.y)} of the requests`
              }
            }
          })(),
      table: cumulative ? {
        head: ['share of requests', `at most, ${unit}`],
        rows: () => quantiles.map((value, i) => [run.requests.shares[i], value * scale])
      } :
                          {
                            head: [`from, ${unit}`, `to, ${unit}`, 'requests'],
                            rows: () => histogram.counts.map(
                                (n, i) =>
                                    [(histogram.from + i * width) * scale,
                                     (histogram.from + (i + 1) * width) * scale, n])
                          },
    });
  }

  function scatter(run) {
    const {sample} = run.requests;
    if (!sample || sample.sent_s.length === 0) return null;
    const of = (kept) =>
        sample.sent_s.map((x, i) => ({x, y: sample.ttft_ms[i], i}))
            .filter(({i, y}) => isNumber(y) && Boolean(sample.slo_met[i]) === kept);
    const left = sample.every > 1 ?
        `One request in ${sample.every} is drawn, ${
            kWhole.format(sample.of - sample.sent_s.length)} are left out; ` :
        'Every request; ';
    return chart({
      title: 'TTFT by the time a request was sent',
      zoom: true,
      height: 280,
      note:
          `${left}those under way at the start have none. Distributions above are of all requests.`,
      config: () => ({
        type: 'scatter',
        data: {
          datasets: [
            {
              label: 'keeps the SLO',
              data: of(true),
              backgroundColor: faded(series(0), 0.55),
              radius: 2
            },
            {
              label: 'misses it',
              data: of(false),
              backgroundColor: series(1),
              pointStyle: 'triangle',
              radius: 3.5
            }
          ]
        },
        options: {
          scales:
              {x: axis('sent, s', {type: 'linear'}), y: axis('TTFT, ms', {type: 'logarithmic'})},
          plugins: {
            legend: {labels: kPointLegend},
            tooltip: {
              callbacks: {
                label: ({raw}) => `sent ${figure(raw.x)} s: TTFT ${figure(raw.y)} ms, ${
                    figure(sample.prompt_tokens[raw.i])} prompt and ${
                    figure(sample.output_tokens[raw.i])} output tokens`
              }
            }
          }
        }
      }),
      table: {
        head:
            ['sent s', 'TTFT ms', 'TPOT ms', 'E2E ms', 'prompt tokens', 'output tokens', 'SLO met'],
        rows: () => sample.sent_s.map(
            (sent, i) =>
                [sent, sample.ttft_ms[i], sample.tpot_ms[i], sample.e2el_ms[i],
                 sample.prompt_tokens[i], sample.output_tokens[i], sample.slo_met[i]])
      },
    });
  }

  function select(label, options, value, change) {
    return el(
        'label', {}, `${label} `,
        el('select', {onchange: (event) => change(event.target.value)},
           options.map(
               ([key, text]) => el('option', {value: key, selected: key === value}, text))));
  }

  function latency(run) {
    const whole = latencyTable(run.result);
    if (!run.requests) {
      return [
        whole,
        el('p', {class: 'note'},
           'There are no distributions: requests.csv does not lie beside this result. cmsim run --out DIR writes it.')
      ];
    }
    const of = recall('of', 'window');
    return [
      el('div', {class: 'filters'},
         select(
             'Requests',
             [['window', 'of the window (its cohort)'], ['whole_run', 'of the whole run']], of,
             (value) => {
               remember('of', value);
               redraw();
             }),
         select(
             'Shown as', [['histogram', 'histogram'], ['cumulative', 'cumulative share']],
             recall('dist', 'histogram'),
             (value) => {
               remember('dist', value);
               redraw();
             })),
      el('div', {class: 'grid'},
         Object.keys(kNames).map((key) => distribution(key, run, of)).filter(Boolean)),
      el('div', {class: 'lone'}, scatter(run)), el('h2', {}, 'Percentiles'), whole
    ];
  }
  function latencyTable(result) {
    const rows = () => Object.keys(kNames).flatMap((key) => ['window', 'whole_run'].map((part) => {
      const of = result[part][key];
      return [
        `${kNames[key]}, ${words(part)}`, of?.count, of?.mean, of?.median, of?.p99, of?.max, of?.std
      ];
    }));
    return el('div', {class: 'card'}, plainTable({
                caption: 'Latencies',
                head: ['ms', 'count', 'mean', 'p50', 'p99', 'max', 'std'],
                rows
              }));
  }

  /** Bars of a latency's mean and p99, a pair a row. */
  function latencyBars(title, note, rows, key) {
    const short = kNames[key], drawn = rows.filter((row) => row[key]);
    return drawn.length && chart({
             title,
             note,
             config: () => ({
               type: 'bar',
               data: {
                 labels: drawn.map(({name}) => name),
                 datasets: [['mean', 0], ['p99', 5]].map(([of, c]) => ({
                                                           label: `${short} ${of}`,
                                                           data: drawn.map((row) => row[key][of]),
                                                           backgroundColor: series(c)
                                                         }))
               },
               options: {
                 scales: {
                   x: axis('', {type: 'category', grid: {display: false}}),
                   y: axis('ms', {min: 0})
                 },
                 plugins: {
                   tooltip: {
                     callbacks: {label: (item) => `${item.dataset.label}: ${figure(item.raw)} ms`}
                   }
                 }
               }
             }),
             table: {
               head:
                   ['group', 'requests', `${short} mean ms`, `${short} p50 ms`, `${short} p99 ms`],
               rows: () => drawn.map(
                   (row) => [row.name, row.count, row[key].mean, row[key].p50, row[key].p99])
             }
           });
  }
  /** Where the prompt tokens of a group came from. */
  function tierBars(title, note, rows, tiers) {
    const share = (tokens) => rows.map((row, i) => tokens(row, i) / row.prompt_tokens);
    const parts = [
      [tiers ? 'DRAM' : 'cache', share((row) => row.cached_tokens - row.ssd_tokens), 2],
      ...(tiers ? [['SSD', share((row) => row.ssd_tokens), 4]] : []),
      ['computed', share((row) => row.prompt_tokens - row.cached_tokens), 0]
    ];
    return chart({
      title,
      note,
      config: () => ({
        type: 'bar',
        data: {
          labels: rows.map(({name}) => name),
          datasets: parts.map(
              ([label, data, c]) => ({label, data, backgroundColor: series(c), stack: 'one'}))
        },
        options: {
          scales: {
            x: axis('', {type: 'category', stacked: true, grid: {display: false}}),
            y: axis('share of prompt tokens', {stacked: true, max: 1, ...percentTick})
          },
          plugins: {
            tooltip: {callbacks: {label: (item) => `${item.dataset.label}: ${percent(item.raw)}`}}
          }
        }
      }),
      table: {
        head: ['group', ...parts.map(([label]) => label)],
        rows: () => rows.map((row, i) => [row.name, ...parts.map(([, data]) => data[i])])
      }
    });
  }
  /** Headlines of each supernode: its instances have the next numbers after those before it. */
  function supernodeRows(run) {
    const counts = [['prefill_of', 'prefill_instances'], ['decode_of', 'decode_instances']].map(
        ([of, groups]) => [run.machine[of] ?? [], run.requests[groups]]);
    if (counts[0][0].length < 2 || run.result.window.proportion)
      return [];  // blocks have other numbers
    return counts[0][0].map((_, i) => {
      const [prefill, decode] = counts.map(([of, groups]) => {
        const first = of.slice(0, i).reduce((sum, n) => sum + n, 0);
        return groups.filter(({key}) => key >= first && key < first + of[i]);
      });
      const lead = prefill.length ? prefill : decode;
      const sum = (groups, key) => groups.reduce((total, group) => total + group[key], 0);
      const mean = (groups, key) => {
        const with_figures = groups.filter((group) => group[key]);
        return with_figures.reduce((total, group) => total + group[key].mean * group.count, 0) /
            sum(with_figures, 'count');
      };
      return [
        `supernode ${i}`, sum(lead, 'count'), mean(lead, 'ttft_ms'), mean(decode, 'tpot_ms'),
        sum(lead, 'slo_met') / sum(lead, 'count'),
        sum(lead, 'cached_tokens') / sum(lead, 'prompt_tokens'), sum(decode, 'output_tokens')
      ];
    });
  }
  const serviceTable = (title, groups) =>
      el('div', {class: 'card'}, el('h3', {}, title), plainTable({
           caption: title,
           head: [
             'group', 'requests', 'finished', 'within the SLO', 'TTFT mean ms', 'TTFT p99 ms',
             'TPOT mean ms', 'TPOT p99 ms', 'longest wait s'
           ],
           rows: () => Object.entries(groups).map(
               ([name, of]) =>
                   [name, of.requests, of.finished, percent(of.share_slo), of.ttft_ms?.mean,
                    of.ttft_ms?.p99, of.tpot_ms?.mean, of.tpot_ms?.p99, of.longest_wait_s])
         }));
  function groups(run) {
    const {service} = run.result.window, {requests} = run;
    const tables = service ?
        [
          el('h2', {}, 'In the window, by class and by length'),
          el('div', {class: 'stack'}, serviceTable('By class', service.classes),
             serviceTable('By prompt tokens', service.prompt_lengths),
             el('div', {class: 'card'}, el('h3', {}, 'How even the service is'), facts([
                  ['longest wait', withUnit(service.longest_wait_s, 's')],
                  ['Jain index of the rate of tokens', service.jain_index],
                  ...Object.entries(service.imbalance ?? {})
                      .map(([of, value]) => [`most loaded of ${words(of)} / mean`, value])
                ])))
        ] :
        [];
    if (!requests)
      return [
        ...tables,
        el('p', {class: 'note'},
           'requests.csv does not lie beside this result: turns and instances are in it.')
      ];
    const named = (list) => list.map((group) => ({...group, name: String(group.key)}));
    const turns = named(requests.turns)
                      .map((group) => group.key === 12 ? {...group, name: '12 on'} : group),
          tiers = run.result.cache?.tiers;
    const note = 'Finished requests of the whole run but those under way at its start';
    const instances = [['prefill', 'ttft_ms'], ['decode', 'tpot_ms']]
                          .map(([role, key]) => [role, key, named(requests[`${role}_instances`])])
                          .filter(([, , rows]) => rows.length > 1)
                          .map(
                              ([role, key, rows]) => latencyBars(
                                  `${kNames[key]} by ${role} instance`, `${note}.`, rows, key))
                          .filter(Boolean);
    const supernodes = supernodeRows(run);
    return [
      supernodes.length ?
          [
            el('h2', {}, 'By supernode'),
            el('div', {class: 'card'}, el('p', {class: 'note'}, `${note}, by where they ran.`),
               plainTable({
                 head: [
                   'supernode', 'requests', 'TTFT mean ms', 'TPOT mean ms', 'within the SLO',
                   'prompt tokens hit', 'output tokens'
                 ],
                 rows: () => supernodes.map(
                     (row) => row.map((cell, i) => i === 4 || i === 5 ? percent(cell) : cell))
               }))
          ] :
          null,
      turns.length > 1 ?
          [
            el('h2', {}, 'By turn of a session'),
            el('div', {class: 'grid'}, latencyBars('TTFT by turn', `${note}.`, turns, 'ttft_ms'),
               tierBars(
                   'Prompt tokens by turn',
                   'Found in the cache when a request joined its batch, or computed.', turns,
                   tiers))
          ] :
          null,
      tables,
      instances.length ? [el('h2', {}, 'By instance'), el('div', {class: 'grid'}, instances)] : null
    ].filter(Boolean);
  }

  const kSeries = [
    [
      'Requests in prefill', 'requests',
      [['prefill_waiting', 'waiting'], ['prefill_running', 'running']]
    ],
    [
      'Requests in decode', 'requests',
      [['decode_waiting', 'waiting'], ['decode_running', 'running']]
    ],
    [
      'Tokens', 'tokens/s',
      [['output_tokens_per_s', 'output'], ['prefill_tokens_per_s', 'prompt, computed']]
    ],
    [
      'Utilisation, KV space and cache', 'share',
      [
        ['prefill_utilisation', 'prefill busy'], ['decode_utilisation', 'decode busy'],
        ['kv_occupancy', 'KV space reserved'], ['cache_hit_rate', 'cache hit rate']
      ],
      'share'
    ],
    [
      'NPUs by role', 'NPUs',
      [['prefill_npus', 'prefill'], ['decode_npus', 'decode'], ['loading_npus', 'loading']]
    ],
    [
      'Cache hits by tier', 'share',
      [['cache_hit_rate', 'in any tier'], ['ssd_hit_rate', 'of them on SSD']], 'tiers'
    ],
    ['Requests per second', 'requests/s', [['sent', 'sent'], ['finished', 'finished']], 'rate'],
    ['Size of a decode step', 'sequences', [['decode_sequences', 'sequences of a step']]],
    ['Duration of a decode step', 'ms', [['decode_iteration_ms', 'decode step']]],
    ['Size of a prefill batch', 'tokens', [['prefill_batch_tokens', 'new tokens of a batch']]],
  ];
  function timeSeries(run) {
    if (!run.series) {
      const command = run.result.provenance.command;
      return [
        el('p', {class: 'note'}, 'This run wrote no time series. With intervals of 1 s:'),
        el('p', {}, el('code', {}, `${command} --timeseries 1s`))
      ];
    }
    const {columns, every, intervals, interval_s: interval} = run.series,
                                                  {window: part} = run.result;
    const left = every > 1 ? `Of ${kWhole.format(intervals)} intervals of ${
                                 figure(interval)} s, each ${every} are averaged to a point` :
                             `Intervals of ${figure(interval)} s`;
    const charts =
        kSeries.filter(([, , wanted]) => wanted.some(([key]) => columns[key]?.some(isNumber)))
            .filter(([, , , kind]) => kind !== 'tiers' || run.result.cache?.tiers)
            .map(([title, unit, wanted, kind]) => chart({
                   title,
                   zoom: true,
                   config: () => lines(
                       () => wanted.filter(([key]) => columns[key]?.some(isNumber))
                                 .map(([key, label], i) => ({
                                        label,
                                        borderColor: series(i),
                                        backgroundColor: series(i),
                                        borderDash: [[], [6, 3], [2, 2], [8, 3, 2, 3]][i],
                                        data: columns.from_s.map(
                                            (x, j) => ({
                                              x,
                                              y: isNumber(columns[key][j]) ? columns[key][j] /
                                                      (kind === 'rate' && interval ? interval : 1) :
                                                                             NaN
                                            }))
                                      })),
                       {
                         x: 'time, s',
                         y: unit,
                         ys: unit === 'share' ? {...percentTick, max: 1} : {},
                         marks: {band: {from: part.from_s, to: part.to_s}},
                         tooltip: {
                           callbacks: {
                             title: ([item]) => `at ${figure(item.parsed.x)} s`,
                             label: (item) => `${item.dataset.label}: ${
                                 unit === 'share' ? percent(item.parsed.y) :
                                                    withUnit(item.parsed.y, unit)}`
                           }
                         }
                       })(),
                   table: {
                     head: ['from s', ...wanted.map(([, label]) => label)],
                     rows: () => columns.from_s.map(
                         (x, j) => [x, ...wanted.map(([key]) => columns[key]?.[j] ?? null)])
                   },
                 }));
    return [
      el('p', {class: 'note lead'},
         `${left}. The shaded part is the window that figures are taken from. Drag over a chart to zoom, or use + − ← → and 0.`),
      el('div', {class: 'grid'}, charts)
    ];
  }

  const kWork = [
    ['attention', 0, /Attention|RoPE|Indexer/],
    ['exchange', 2, /Dispatch|Combine|AllGather|AllToAll|AllReduce|ReduceScatter|A2A/],
    ['experts and FFN', 1, /MLP|Expert|FFN|Activation|Gate/],
    ['projections and norms', 5, /Prolog|Proj|Quantise|Norm/],
    ['head and MTP', 3, /LMHead|MTP|head|mtp/],
    ['waiting and host', 4, /waiting|host/],
    ['whole layers', 7, /./],
  ];
  const workOf = (name) => kWork.find(([, , pattern]) => pattern.test(name));
  const workLegend = () => el(
      'ul', {class: 'legend'},
      kWork.map(([name, c]) => el('li', {}, el('i', {style: {background: `var(--c${c})`}}), name)));

  /** Bars of [label, [[segment, µs], ...]] on one scale. */
  function stacked(title, note, bars, unit = 'ms', scale = 1e-3) {
    return chart({
      title,
      note,
      legend: workLegend(),
      height: 70 + 46 * bars.length,
      config: () => ({
        type: 'bar',
        data: {
          labels: bars.map(([label]) => label),
          datasets: bars.flatMap(
              ([, parts], row) =>
                  parts.map(([name, value]) => ({
                              label: name,
                              data: bars.map((_, i) => i === row ? value * scale : null),
                              backgroundColor: series(workOf(name)[1]),
                              borderColor: colour('card'),
                              borderWidth: {right: 1, left: 0, top: 0, bottom: 0},
                              stack: 'one',
                              barPercentage: 0.85,
                              categoryPercentage: 0.9
                            })))
        },
        options: {
          indexAxis: 'y',
          skipNull: true,
          scales: {
            x: axis(unit, {stacked: true}),
            y: axis(
                '',
                {type: 'category', stacked: true, grid: {display: false}, ticks: {autoSkip: false}})
          },
          plugins: {
            legend: {display: false},
            segments: {show: true},
            tooltip: {
              callbacks: {
                label: (item) => {
                  const whole =
                      bars[item.dataIndex][1].reduce((sum, [, value]) => sum + value, 0) * scale;
                  return `${item.dataset.label}: ${figure(item.raw)} ${unit}, ${
                      percent(item.raw / whole)}`;
                }
              }
            }
          }
        }
      }),
      table: {
        head: ['bar', 'part', unit, 'share of the bar'],
        rows: () => bars.flatMap(([label, parts]) => {
          const whole = parts.reduce((sum, [, value]) => sum + value, 0);
          return parts.map(([name, value]) => [label, name, value * scale, value / whole]);
        })
      },
    });
  }
  function operatorsOf(role, of) {
    const rows = of.operators;
    return chart({
      title: `Operators of one ${role} layer`,
      height: 60 + 24 * rows.length,
      note:
          'Of one MoE layer and microbatch: alone, with all of the HBM bandwidth, and in place, beside the other streams.',
      config: () => ({
        type: 'bar',
        data: {
          labels: rows.map(({name}) => name),
          datasets: [
            {
              label: 'in place',
              data: rows.map((row) => row.duration_us),
              backgroundColor: rows.map(({name}) => series(workOf(name)[1]))
            },
            {
              label: 'alone',
              data: rows.map((row) => row.alone_us),
              backgroundColor: faded(colour('muted'), 0.4)
            }
          ]
        },
        options: {
          indexAxis: 'y',
          scales: {
            x: axis('µs'),
            y: axis('', {type: 'category', grid: {display: false}, ticks: {autoSkip: false}})
          },
          plugins: {
            legend: {display: false},
            tooltip: {callbacks: {label: (item) => `${item.dataset.label}: ${figure(item.raw)} µs`}}
          }
        }
      }),
      table: {
        head: ['operator', 'track', 'in place µs', 'alone µs', 'HBM bytes'],
        rows: () =>
            rows.map((row) => [row.name, row.track, row.duration_us, row.alone_us, row.hbm_bytes])
      },
    });
  }
  const kLosses = {
    imbalance: 'imbalance of experts',
    communication: 'communication',
    launch: 'launches and the host',
    jitter: 'jitter of ranks'
  };
  function step(run) {
    const found = ['decode', 'prefill'].filter((role) => run.result.breakdown?.[role]);
    if (found.length === 0)
      return [el('p', {class: 'note'}, 'The window has no whole step to break down.')];
    return found.map((role) => {
      const of = run.result.breakdown[role],
            what = role === 'decode' ? 'decode step' : 'prefill batch';
      const named = (object) => Object.entries(object).filter(([, value]) => value > 0);
      return [
        el('h2', {}, `The mean ${what} of the window: ${figure(of.duration_us / 1e3)} ms`),
        el('div', {class: 'stack'},
           stacked(
               `Time of the ${what}`,
               `Its parts, and the operators on the path that ends it (host time aside). ${
                   of.microbatches} microbatch${of.microbatches === 1 ? '' : 'es'}.`,
               [
                 ['parts', named(of.parts_us).map(([name, value]) => [words(name), value])],
                 ['critical path', named(of.critical_path_us)]
               ])),
        el('div', {class: 'grid', style: {marginTop: '1rem'}}, operatorsOf(role, of),
           el('div', {class: 'card'}, el('h3', {}, 'Lost time'),
              el('p', {class: 'note'}, 'Share of the duration that would be saved without it.'),
              barList(Object.entries(of.losses).map(
                  ([name, {share}]) => [kLosses[name] ?? name, Math.max(0, share), 'c1'])),
              el('h3', {style: {marginTop: '1rem'}}, 'Busy time of a layer by stream'),
              barList(
                  Object.entries(of.streams_us).map(([name, value]) => [name, value]),
                  (value) => `${figure(value)} µs`, of.layer_us)))
      ];
    });
  }

  function linkChart(part) {
    const rows = part.links.filter((link) => link.transfer_bytes + link.exchange_bytes > 0);
    if (rows.length === 0) return null;
    const name = (link) => `${link.class} ${link.direction}`;
    return chart({
      title: 'Use of the links in the window',
      height: 70 + 30 * rows.length,
      note:
          'Mean over all ports of a class, idle ones included, and the busiest port. Classes without traffic are left out.',
      config: () => ({
        type: 'bar',
        data: {
          labels: rows.map(name),
          datasets: [
            {
              label: 'mean of all ports',
              data: rows.map((link) => link.utilisation),
              backgroundColor: series(0)
            },
            {
              label: 'busiest port',
              data: rows.map((link) => link.busiest_utilisation),
              backgroundColor: series(4)
            }
          ]
        },
        options: {
          indexAxis: 'y',
          scales: {
            x: axis('share of capacity', {...percentTick}),
            y: axis('', {type: 'category', grid: {display: false}, ticks: {autoSkip: false}})
          },
          plugins: {
            tooltip: {callbacks: {label: (item) => `${item.dataset.label}: ${percent(item.raw)}`}}
          }
        }
      }),
      table: {
        head: [
          'class', 'direction', 'ports', 'transfer bytes', 'exchange bytes', 'mean use',
          'busiest port'
        ],
        rows: () => part.links.map(
            (link) =>
                [link.class, link.direction, link.ports, link.transfer_bytes, link.exchange_bytes,
                 link.utilisation, link.busiest_utilisation])
      },
    });
  }
  function rankMap(run) {
    const instances = run.requests?.ranks ?? [];
    if (instances.length === 0) return null;
    const all = instances.flatMap(({tokens}) => tokens),
          mean = all.reduce((sum, n) => sum + n, 0) / all.length, most = Math.max(...all);
    const kMost = 4096;
    return el(
        'figure', {},
        el('figcaption', {}, el('h3', {}, 'Output tokens by decode rank'),
           el('p', {class: 'note'},
              `The whole run; the busiest of ${kWhole.format(all.length)} ranks has ${
                  figure(most / mean)} times the mean of ${
                  figure(mean)} tokens. Pale: none, dark: the most.${
                  all.length > kMost ? ` The first ${kMost} are drawn.` : ''}`)),
        instances.map(
            ({instance, tokens}) =>
                [instances.length > 1 ? el('p', {class: 'note'}, `Instance ${instance}`) : null,
                 el('div', {
                   class: 'heat',
                   role: 'img',
                   'aria-label':
                       `Instance ${instance}: least ${figure(Math.min(...tokens))}, most ${
                           figure(Math.max(...tokens))} tokens a rank`
                 },
                    tokens.slice(0, Math.ceil(kMost / instances.length))
                        .map((n, rank) => el('i', {
                               style: {
                                 background: `color-mix(in srgb, var(--c0) ${
                                     Math.round(100 * n / most)}%, var(--soft))`
                               },
                               title: `rank ${rank}: ${figure(n)} tokens, ${
                                   signed(n / mean - 1)} of the mean`
                             })))]));
  }
  function drawingOf(run) {
    const drawing = document.getElementById(`drawing-${sources.indexOf(run)}`);
    if (!drawing)
      return el('p', {class: 'note'}, `The machine is not drawn: ${run.machine.why_not}`);
    const frame =
        el('div', {
          class: 'drawing scroll',
          tabindex: 0,
          role: 'img',
          'aria-label':
              'Drawing of the machine; lines and dies have the colour of their load, which the table of links has too'
        },
           document.importNode(
               new DOMParser()
                   .parseFromString(drawing.textContent.trim(), 'image/svg+xml')
                   .documentElement,
               true));
    return el(
        'figure', {},
        el('div', {class: 'head'},
           el('figcaption', {}, el('h3', {}, 'The machine and its load'),
              el('p', {class: 'note'},
                 'A die has the colour of the share of the window in which its instance runs, a line that of the mean use of its class of links. Point at a part for its name.')),
           el('div', {class: 'tools'},
              el('button', {type: 'button', onclick: () => frame.classList.toggle('full')},
                 'Full size'))),
        frame);
  }
  function machine(run) {
    const part = run.result.window, {cache} = run.result;
    const moved = Object.entries(part.transfers ?? {});
    return [
      el('div', {class: 'lone'}, drawingOf(run)),
      el('div', {class: 'grid'}, linkChart(part) ?? '',
         el('div', {class: 'stack'}, rankMap(run),
            el('div', {class: 'card'}, el('h3', {}, 'Transfers, KV space and cache'),
               moved.length ? plainTable({
                 head: ['transfer', 'count', 'data', 'mean ms', 'bandwidth'],
                 rows: () => moved.map(
                     ([name, of]) =>
                         [words(name), of.count, bytes(of.bytes), of.mean_ms,
                          `${bytes(of.mean_bandwidth)}/s`])
               }) :
                              null,
               el('p', {style: {height: '.6rem'}}), facts([
                 [
                   'KV space',
                   part.kv &&
                       `${figure(part.kv.capacity_tokens)} tokens, ${
                           percent(part.kv.mean_occupancy)} reserved on average, ${
                           percent(part.kv.peak_occupancy)} at most`
                 ],
                 [
                   'Context cache',
                   cache?.enabled ? `${percent(cache.hit_rate_by_token)} of prompt tokens hit; ${
                                        figure(cache.stored_blocks)} of ${
                                        figure(cache.capacity_blocks)} blocks held, ${
                                        figure(cache.evicted_blocks)} evicted` :
                                    'off'
                 ],
                 [
                   'SSDs behind it',
                   cache?.tiers &&
                       `${percent(cache.tiers.ssd.hit_rate_by_token)} of prompt tokens hit, DRAM ${
                           percent(cache.tiers.dram.hit_rate_by_token)}; ${
                           figure(cache.tiers.ssd.stored_blocks)} of ${
                           figure(cache.tiers.ssd.capacity_blocks)} blocks held; ${
                           figure(cache.tiers.ssd.demoted_blocks)} came from DRAM, ${
                           figure(cache.tiers.ssd.placed_blocks)} were written at once`
                 ]
               ]),
               el('h3', {style: {marginTop: '1rem'}}, 'HBM bandwidth while busy'),
               barList(
                   ['decode', 'prefill']
                       .filter((role) => part[role])
                       .map((role) => [role, part[role].hbm.busy_utilisation]),
                   percent, 1))))
    ];
  }

  function provenance(run) {
    const {provenance: from, bands, band_constants: constants, band_idle: idle} = run.result,
                                                                          list =
                                                                              notices(run.result);
    const long = {extrapolated: 1, borrowed: 1};
    return [
      el('div', {class: 'card'}, el('h3', {}, 'Assumed, borrowed or extrapolated'),
         list.length ?
             el('ul', {}, list.map((text) => el('li', {}, text))) :
             el('p', {class: 'note'},
                'Nothing that the result tells: it lies within what was held against measurements, and no figure is borrowed.')),
      bands ?
          [
            el('h2', {}, 'Bands: headlines while constants move in their ranges'),
            el('div', {class: 'card'}, plainTable({
                 head: [
                   'headline', 'nominal', 'low (p5)', 'high (p95)', 'moved most by',
                   'share of variance'
                 ],
                 rows: () => Object.entries(bands).map(
                     ([
                       name, band
                     ]) => [name, band.nominal, band.low, band.high, band.dominant, band.share])
               })),
            el('h2', {}, 'Constants that were varied'),
            el(
                'div', {class: 'card'},
                plainTable(
                    {
                      head: ['pointer', 'range', 'source'],
                      rows:
                          () => constants.map(
                              (of) => [of.pointer, Array.isArray(of.range) ? of.range.join(' to ') : shown(of.range), of.source])
                    }),
                idle
                        ?.length ?
                    el('p', {class: 'note'},
                       `Retired by the scenario, and not varied: ${idle.join(', ')}.`) :
                    null)
          ] :
          null,
      el('h2', {}, 'What was run'),
      el('div', {class: 'card'}, facts([
           ['command', el('code', {}, from.command)],
           ...Object.entries(from)
               .filter(([key]) => key !== 'command' && !long[key])
               .map(
                   ([key, value]) => [words(key), Array.isArray(value) ? value.join(', ') : value]),
           [
             'window',
             `${figure(run.result.window.from_s)} to ${figure(run.result.window.to_s)} s, by ${
                 words(run.result.window.rule)}`
           ]
         ]),
         el('p', {style: {marginTop: '.8rem'}},
            el('button',
               {
                 type: 'button',
                 onclick: () => download(
                     'result.json', JSON.stringify(run.result, null, 2), 'application/json')
               },
               'Download the result as JSON')))
    ];
  }

  // --- runs side by side ------------------------------------------------------------------------

  const kCompared = [
    ['goodput', '/window/request_goodput', 'req/s', 1],
    ['requests finished', '/window/request_throughput', 'req/s', 1],
    ['output tokens', '/window/output_throughput', 'tok/s', 1],
    ['TTFT mean', '/window/ttft_ms/mean', 'ms', -1],
    ['TTFT p99', '/window/ttft_ms/p99', 'ms', -1],
    ['TPOT mean', '/window/tpot_ms/mean', 'ms', -1],
    ['TPOT p99', '/window/tpot_ms/p99', 'ms', -1],
    ['ITL mean', '/window/itl_ms/mean', 'ms', -1],
    ['E2E mean', '/window/e2el_ms/mean', 'ms', -1],
    ['E2E p99', '/window/e2el_ms/p99', 'ms', -1],
    ['prefill, per NPU', '/window/prefill_tokens_per_second_per_npu', 'tok/s', 1],
    ['decode, per NPU', '/window/decode_tokens_per_second_per_npu', 'tok/s', 1],
    ['prefill busy', '/window/prefill/utilisation', 'share', 0],
    ['decode busy', '/window/decode/utilisation', 'share', 0],
    ['sequences of a decode step', '/window/decode/mean_sequences', '', 0],
    ['KV space reserved', '/window/kv/mean_occupancy', 'share', 0],
    ['cache hits, of prompt tokens', '/cache/hit_rate_by_token', 'share', 0],
    ['SLO kept', '/window/slo/share_both', 'share', 1],
    ['decode step', '/breakdown/decode/duration_us', 'µs', -1],
    ['prefill batch', '/breakdown/prefill/duration_us', 'µs', -1],
  ];
  const at = (value, pointer) =>
      pointer.split('/').slice(1).reduce((inner, key) => inner?.[key], value);

  function compare() {
    const names = runs.map((run, i) => `${String.fromCharCode(65 + i)}: ${run.name}`),
          letters = names.map((name) => name[0]);
    const valueText = (value, unit) => unit === 'share' ? percent(value) : withUnit(value, unit);
    const rows = kCompared
                     .map(([label, pointer, unit, better]) => ({
                            label,
                            unit,
                            better,
                            values: runs.map(({result}) => at(result, pointer) ?? null)
                          }))
                     .filter(({values}) => values.some(isNumber));
    const change = ({values, better}, i) => {
      const share = isNumber(values[0]) && isNumber(values[i]) && values[0] !== 0 ?
          values[i] / values[0] - 1 :
          null;
      const kind = !isNumber(share) || better === 0 || Math.abs(share) < 5e-4 ? '' :
          share * better > 0                                                  ? 'good' :
                                                                                'bad';
      return el(
          'td', {class: `num ${kind}`},
          kind ? `${signed(share)} ${kind === 'good' ? '▲ better' : '▼ worse'}` : signed(share));
    };
    const table = el(
        'div', {class: 'card scroll'},
        el('table', {}, el('caption', {class: 'visually-hidden'}, 'Headlines side by side'),
           el('thead', {},
              el('tr', {}, el('th', {scope: 'col'}, 'of the window'),
                 letters.map(
                     (letter, i) =>
                         [el('th', {scope: 'col', class: 'num'}, letter),
                          i > 0 ? el('th', {scope: 'col', class: 'num'}, `${letter} against A`) :
                                  null]))),
           el('tbody', {},
              el('tr', {}, el('td', {}, 'verdict'),
                 runs.map(
                     ({result}, i) =>
                         [el('td', {class: 'num'}, result.load.verdict), i > 0 ? el('td') : null])),
              rows.map(
                  (row) =>
                      el('tr', {}, el('td', {}, row.label),
                         row.values.map(
                             (value, i) =>
                                 [el('td', {class: 'num'}, valueText(value, row.unit)),
                                  i > 0 ? change(row, i) : null]))))));
    const spread = (key) => {
      const drawn = runs.map((run, i) => [run, i]).filter(([run]) => run.requests?.window[key]);
      if (drawn.length < 2) return null;
      const scale = key === 'e2el_ms' ? 1e-3 : 1, unit = key === 'e2el_ms' ? 's' : 'ms';
      const note = key === 'itl_ms' ? 'Share of the requests at or below, of each its mean gap.' :
                                      'Share of the requests at or below.';
      return chart({
        title: kLong[key],
        note,
        zoom: true,
        config: () => lines(
            () => drawn.map(([run, i]) => ({
                              label: letters[i],
                              borderColor: series(i),
                              backgroundColor: series(i),
                              borderDash: [[], [6, 3], [2, 2], [8, 3, 2, 3]][i % 4],
                              data: run.requests.window[key].quantiles.map(
                                  (value, j) => ({x: value * scale, y: run.requests.shares[j]}))
                            })),
            {
              x: unit,
              y: 'share of requests',
              ys: {...percentTick, max: 1},
              tooltip: {
                callbacks: {
                  title: () => '',
                  label: (item) => `${item.dataset.label}: ${percent(item.parsed.y)} within ${
                      figure(item.parsed.x)} ${unit}`
                }
              }
            })(),
        table: {
          head: ['share of requests', ...drawn.map(([, i]) => `${letters[i]}, ${unit}`)],
          rows: () => drawn[0][0].requests.shares.map(
              (share, j) =>
                  [share, ...drawn.map(([run]) => run.requests.window[key].quantiles[j] * scale)])
        }
      });
    };
    const paths =
        ['decode', 'prefill']
            .map((role) => {
              const bars =
                  runs.map(
                          ({result}, i) =>
                              [letters[i],
                               Object.entries(result.breakdown?.[role]?.critical_path_us ?? {})])
                      .filter(([, parts]) => parts.length);
              return bars.length > 1 ?
                  stacked(
                      `Critical path of the ${role === 'decode' ? 'decode step' : 'prefill batch'}`,
                      'By operator, host time aside.', bars) :
                  null;
            })
            .filter(Boolean);
    return [
      el('div', {class: 'card', style: {marginBottom: '1rem'}},
         facts(runs.map((run, i) => [names[i], el('code', {}, run.result.provenance.command)]))),
      table,
      el('p', {class: 'note', style: {marginTop: '.5rem'}},
         'One run each: small differences may be chance. A sweep with seeds tells (docs/studies.md); cmsim compare says which operators, links and queues moved.'),
      el('h2', {}, 'Distributions in the window'),
      el('div', {class: 'grid'}, Object.keys(kNames).map(spread).filter(Boolean)),
      paths.length ? [el('h2', {}, 'Steps'), el('div', {class: 'stack'}, paths)] : null
    ];
  }

  // --- a study ----------------------------------------------------------------------------------

  const axisName = (pointer) => pointer.split('/').at(-1) || pointer;
  const metricTitle = ({name, unit}) => unit ? `${name}, ${unit}` : name;
  const settingText = (text) => text === '' ? '(none)' : text;
  /** The axes that have several values. */
  const varied = (study) =>
      study.axes.map((of, i) => ({...of, at: i})).filter(({values}) => values.length > 1);
  const isSensitivity = (study) =>
      study.axes.length === 1 && study.axes[0].name === 'set' && study.axes[0].values[0] === '';
  const metricIndex = (study, name) => study.metrics.findIndex((metric) => metric.name === name);
  const numericMetrics = (study) =>
      study.metrics.map((metric, i) => ({...metric, at: i}))
          .filter(({at: i}) => study.cells.some((cell) => isNumber(cell.figures[i]?.mean)));
  const halfText = (half) => figure(Number(half.toPrecision(2)));
  function figureText(of) {
    if (!of) return '–';
    if (of.texts)
      return Object.entries(of.texts)
          .map(([text, n]) => Object.keys(of.texts).length > 1 ? `${n} ${text}` : text)
          .join(', ');
    if (of.of !== undefined) return `${of.met} of ${of.of}`;
    return isNumber(of.half) ? `${figure(of.mean)} ± ${halfText(of.half)}` : figure(of.mean);
  }

  function studySummary(study) {
    const seeds = new Set(study.points.map(({seed}) => seed)).size;
    const states = Object.entries(study.states)
                       .map(
                           ([state, n]) => badge(
                               `${kWhole.format(n)} ${state}`,
                               state === 'done'       ? 'good' :
                                   state === 'failed' ? 'bad' :
                                                        'warn'));
    const list = [];
    if (study.states.missing)
      list.push(`${
          kWhole.format(
              study.states
                  .missing)} points are missing: cells are of those that are there; cmsim sweep … --resume runs the rest.`);
    if (study.points_left_out)
      list.push(`${
          kWhole.format(
              study
                  .points_left_out)} of the points are not listed, to keep the page small; cells are of all of them.`);
    if (study.cells.some((cell) => cell.passing))
      list.push(
          '* marks cells with runs that are not stable or not steady: their figures hang on how long the run is.');
    return [
      el('div', {class: 'verdict'}, states,
         el('span', {class: 'badge muted'}, `${kWhole.format(study.cells.length)} cells`),
         el('span', {class: 'badge muted'}, `${seeds} seed${seeds === 1 ? '' : 's'}`)),
      list.length ?
          el('section', {class: 'notices'}, el('ul', {}, list.map((text) => el('li', {}, text)))) :
          null
    ];
  }

  /**
   * Terms separated by spaces, all of which must hold: text that occurs, or column<number (also >,
   * <=, >=, =).
   */
  function filterOf(text, columns) {
    const terms = text.trim().split(/\s+/).filter(Boolean).map((term) => {
      const [, name, sign, value] = /^([^<>=]+)(<=|>=|<|>|=)(.+)$/.exec(term) ?? [];
      const column = name === undefined ?
          -1 :
          columns.findIndex(({key}) => key.toLowerCase() === name.toLowerCase());
      if (column < 0) return (row) => row.text.includes(term.toLowerCase());
      const limit = Number(value);
      return (row) => {
        const found = row.cells[column];
        if (sign === '=' && row.shown[column].toLowerCase() === value.toLowerCase()) return true;
        if (!isNumber(found) || Number.isNaN(limit)) return false;
        return sign === '<' ? found < limit :
            sign === '>'    ? found > limit :
            sign === '<='   ? found <= limit :
            sign === '>='   ? found >= limit :
                              found === limit;
      };
    });
    return (row) => terms.every((holds) => holds(row));
  }

  /**
   * A table with a filter, sorting, and two rows to be put side by side. columns: {key, title,
   * numeric}; rows: {cells, shown, point}.
   */
  function dataTable(name, columns, rows, beside) {
    for (const row of rows)
      row.text = [...row.cells, ...row.shown]
                     .map((cell) => String(cell ?? ''))
                     .join('\u0001')
                     .toLowerCase();
    const kStep = 100;
    let limit = kStep, [sortKey, sortWay] = recall('sort', ':').split(':');
    const chosen = [];
    const body = el('tbody'), count = el('span', {class: 'muted', role: 'status'}),
          more = el('button', {
            type: 'button',
            style: {marginTop: '.6rem'},
            onclick: () => {
              limit += 4 * kStep;
              draw();
            }
          });
    const pair = el('div', {style: {marginTop: '1rem'}});
    const input = el('input', {
      type: 'search',
      value: recall('q', ''),
      placeholder: 'Filter',
      'aria-label': `Filter ${name}`,
      oninput: () => {
        remember('q', input.value);
        limit = kStep;
        draw();
      }
    });
    let found = rows;
    const choose = (row, on) => {
      if (on)
        chosen.push(row);
      else
        chosen.splice(chosen.indexOf(row), 1);
      pair.replaceChildren(
          chosen.length === 2 ?
              beside(chosen) :
              el('p', {class: 'note'},
                 chosen.length ? 'Choose two rows to see them side by side.' : ''));
    };
    const heads = columns.map((column) => {
      const button =
          el('button', {
            type: 'button',
            onclick: () => {
              [sortKey, sortWay] = sortKey !== column.key ? [column.key, 'up'] :
                  sortWay === 'up'                        ? [column.key, 'down'] :
                                                            ['', ''];
              remember('sort', sortKey && `${sortKey}:${sortWay}`);
              draw();
            }
          },
             column.title);
      return {
        column,
        button,
        head: el('th', {scope: 'col', class: column.numeric ? 'num' : null}, button)
      };
    });
    function draw() {
      found = rows.filter(filterOf(input.value, columns));
      const at = columns.findIndex(({key}) => key === sortKey);
      if (at >= 0) {
        const way = sortWay === 'down' ? -1 : 1,
              last = (value) => value === null || value === undefined;
        found.sort(
            ({cells: {[at]: a}}, {cells: {[at]: b}}) => last(a) ? 1 :
                last(b)                                         ? -1 :
                                                                  way *
                    (isNumber(a) && isNumber(b) ?
                         a - b :
                         String(a).localeCompare(String(b), 'en', {numeric: true})));
      }
      for (const {column, button, head} of heads) {
        const sorted = column.key === sortKey;
        head.setAttribute(
            'aria-sort',
            !sorted              ? 'none' :
                sortWay === 'up' ? 'ascending' :
                                   'descending');
        if (sorted)
          button.dataset.sorted = sortWay === 'up' ? ' ↑' : ' ↓';
        else
          delete button.dataset.sorted;
      }
      body.replaceChildren(...found.slice(0, limit).map(
          (row) =>
              el('tr', {}, el('td', {}, el('input', {
                                type: 'checkbox',
                                checked: chosen.includes(row),
                                'aria-label': `Put row ${row.name} beside another`,
                                onchange: (event) => choose(row, event.target.checked)
                              })),
                 row.shown.map(
                     (text, i) =>
                         el('td',
                            {class: columns[i].numeric ? 'num' :
                                 columns[i].wrap       ? 'wrap' :
                                                         null},
                            text)))));
      count.textContent = `${kWhole.format(found.length)} of ${kWhole.format(rows.length)} rows`;
      more.hidden = found.length <= limit;
      more.textContent = `Show more (${kWhole.format(found.length - limit)} are not shown)`;
    }
    draw();
    return [
      el('div', {class: 'filters'}, input, count,
         el('button', {
           type: 'button',
           onclick: () => downloadCsv(
               name, {head: columns.map(({key}) => key), rows: () => found.map(({cells}) => cells)})
         },
            'CSV')),
      el('p', {class: 'note lead'},
         `Words that must occur, and conditions such as ${
             columns.find(({numeric}) => numeric)?.key ??
             'seed'}<40; all must hold. A heading sorts; two chosen rows are put side by side.`),
      el('div', {class: 'scroll tall', tabindex: 0, role: 'region', 'aria-label': name},
         el('table', {}, el('caption', {class: 'visually-hidden'}, name),
            el('thead', {},
               el('tr', {},
                  el('th', {scope: 'col'}, el('span', {class: 'visually-hidden'}, 'side by side')),
                  heads.map(({head}) => head))),
            body)),
      more, pair
    ];
  }
  function sideBySide(columns, [a, b]) {
    const share = (i) =>
        columns[i].metric && isNumber(a.cells[i]) && isNumber(b.cells[i]) && a.cells[i] !== 0 ?
        b.cells[i] / a.cells[i] - 1 :
        null;
    return el(
        'div', {class: 'card'}, el('h3', {}, `${a.name} and ${b.name}`),
        el('div', {class: 'scroll'},
           el('table', {},
              el('thead', {},
                 el('tr', {},
                    ['', a.name, b.name, 'change'].map((text) => el('th', {scope: 'col'}, text)))),
              el('tbody', {},
                 columns.map(
                     (column, i) => a.shown[i] === b.shown[i] && !column.metric ?
                         null :
                         el('tr', {}, el('td', {}, column.title), el('td', {}, a.shown[i]),
                            el('td', {}, b.shown[i]), el('td', {}, signed(share(i)))))))));
  }

  function cellsView(study) {
    const used = varied(study);
    const columns = [
      {key: 'cell', title: 'cell', numeric: true},
      ...used.map(({name}) => ({key: axisName(name), title: axisName(name)})),
      {key: 'n', title: 'n', numeric: true},
      ...study.metrics.map(
          (metric) => ({key: metric.name, title: metricTitle(metric), numeric: true, metric: true}))
    ];
    const rows = study.cells.map(
        (cell) => ({
          name: `cell ${cell.cell}`,
          cells: [
            cell.cell,
            ...used.map(
                ({at: i, numbers}) =>
                    numbers[study.axes[i].values.indexOf(cell.settings[i])] ?? cell.settings[i]),
            cell.done,
            ...cell.figures.map(
                (of) => of?.mean ??
                    (of?.of !== undefined ? of.met / of.of :
                         of?.texts        ? figureText(of) :
                                            null))
          ],
          shown: [
            `${cell.cell}${cell.passing ? ' *' : ''}`,
            ...used.map(({at: i}) => settingText(cell.settings[i])),
            `${cell.done} of ${cell.points}`, ...cell.figures.map(figureText)
          ]
        }));
    return [
      studySummary(study),
      el('p', {class: 'note lead'},
         'A cell is a combination of the axes: its mean over the seeds, ± half of the 95 % t-interval where there are several.'),
      ...dataTable('cells', columns, rows, (pair) => sideBySide(columns, pair))
    ];
  }
  function pointsView(study) {
    const used = varied(study),
          settings = new Map(study.cells.map((cell) => [cell.cell, cell.settings]));
    const failed = study.points.some(({error}) => error);
    const columns = [
      {key: 'number', title: 'point', numeric: true}, {key: 'seed', title: 'seed', numeric: true},
      {key: 'state', title: 'state'},
      ...used.map(({name}) => ({key: axisName(name), title: axisName(name)})),
      ...study.metrics.map(
          (metric) =>
              ({key: metric.name, title: metricTitle(metric), numeric: true, metric: true})),
      ...(failed ? [{key: 'error', title: 'error', wrap: true}] : []),
      {key: 'command', title: 'command'}
    ];
    const rows = study.points.map((point) => {
      const of = used.map(({at: i}) => settings.get(point.cell)[i]),
            last = [...(failed ? [point.error ?? ''] : []), point.command];
      return {
        name: `point ${point.number}`,
        cells: [
          point.number, point.seed, point.state,
          ...used.map(
              ({at: i, numbers}, j) => numbers[study.axes[i].values.indexOf(of[j])] ?? of[j]),
          ...point.values, ...last
        ],
        shown: [
          point.number, point.seed ?? '–', point.state, ...of.map(settingText),
          ...point.values.map(shown), ...last
        ].map(String)
      };
    });
    return [
      studySummary(study),
      ...dataTable('points', columns, rows, (pair) => sideBySide(columns, pair))
    ];
  }

  /** The cells by the values of an axis, as one group, or by what else tells them apart. */
  function groupsBy(study, key) {
    const groups = new Map();
    for (const cell of study.cells) {
      const name = key(cell);
      if (!groups.has(name)) groups.set(name, []);
      groups.get(name).push(cell);
    }
    return [...groups];
  }
  const kMostLines = 8;

  function pareto(study) {
    const metrics = numericMetrics(study), tpot = metricIndex(study, 'tpot');
    const options = metrics.map((metric) => [String(metric.at), metricTitle(metric)]);
    if (tpot >= 0) options.unshift(['user', 'tokens/s per user (1000 / TPOT)']);
    const usual = metricIndex(study, 'tokens_per_s_per_npu');
    const x = recall('x', tpot >= 0 ? 'user' : String(metrics[0]?.at)),
          y = recall('y', String(usual >= 0 ? usual : metrics.at(-1)?.at));
    const value = (cell, key) => key === 'user' ?
        (isNumber(cell.figures[tpot]?.mean) ? 1000 / cell.figures[tpot].mean : null) :
        cell.figures[key]?.mean;
    const better = (key) => key === 'user' ? 1 : study.metrics[key]?.better === 'lower' ? -1 : 1;
    const cells = study.cells.map((cell) => ({cell, x: value(cell, x), y: value(cell, y)}))
                      .filter((point) => isNumber(point.x) && isNumber(point.y));
    const beats = (a, b) => (a.x - b.x) * better(x) >= 0 && (a.y - b.y) * better(y) >= 0 &&
        (a.x !== b.x || a.y !== b.y);
    const order = [...cells].sort((a, b) => better(x) * (b.x - a.x) || better(y) * (b.y - a.y));
    const front = [];
    for (const point of order)
      if (front.length === 0 || better(y) * (point.y - front.at(-1).y) > 0) front.push(point);
    const used = varied(study), by = recall('by', used[0]?.name ?? ''),
          of = used.find(({name}) => name === by);
    const groups = of && of.values.length <= kMostLines ?
        of.values.map(
            (text) =>
                [`${axisName(by)} ${settingText(text)}`,
                 cells.filter(({cell}) => cell.settings[of.at] === text)]) :
        [['cells', cells]];
    const title = (key) => options.find(([of2]) => of2 === key)?.[1] ?? '';
    const change = (key) => (chosen) => {
      remember(key, chosen);
      redraw();
    };
    const naming = (cell) =>
        used.map(({name, at: i}) => `${axisName(name)} ${settingText(cell.settings[i])}`)
            .join(', ') ||
        `cell ${cell.cell}`;
    return [
      el('div', {class: 'filters'}, select('Across', options, x, change('x')),
         select('Up', options, y, change('y')),
         used.length ?
             select('Colour by', used.map(({name}) => [name, axisName(name)]), by, change('by')) :
             null),
      chart({
        title: `${title(y)} against ${title(x)}`,
        height: 460,
        zoom: true,
        note: `Means of ${kWhole.format(cells.length)} cells. The line joins the Pareto front: ${
            kWhole.format(
                front
                    .length)} that no other is at least as good as in both and better in one. Hollow: a run that is not stable or not steady.`,
        config: () => ({
          type: 'scatter',
          data: {
            datasets: [
              ...groups.map(([label, points], i) => ({
                              label,
                              data: points,
                              borderColor: series(i),
                              borderWidth: 1.5,
                              pointStyle: kPoints[i % kPoints.length],
                              radius: 5,
                              hoverRadius: 7,
                              pointBackgroundColor:
                                  points.map(({cell}) => cell.passing ? 'transparent' : series(i))
                            })),
              {
                label: 'Pareto front',
                data: front,
                showLine: true,
                borderColor: colour('ink'),
                borderDash: [4, 3],
                borderWidth: 1.4,
                radius: 0,
                hitRadius: 0,
                pointStyle: 'line'
              }
            ]
          },
          options: {
            parsing: false,
            scales: {x: axis(title(x), {type: 'linear'}), y: axis(title(y), {beginAtZero: true})},
            plugins: {
              legend: {labels: kPointLegend},
              tooltip: {
                callbacks: {
                  label: ({raw}) =>
                      [naming(raw.cell), `${title(x)}: ${figure(raw.x)}`,
                       `${title(y)}: ${figure(raw.y)}`]
                }
              }
            }
          }
        }),
        table: {
          head:
              ['cell', ...used.map(({name}) => axisName(name)), title(x), title(y), 'on the front'],
          rows: () => cells.map(
              (point) =>
                  [point.cell.cell, ...used.map(({at: i}) => point.cell.settings[i]), point.x,
                   point.y,
                   front.includes(point)                          ? 'yes' :
                       cells.some((other) => beats(other, point)) ? 'no' :
                                                                    'equal to one'])
        }
      })
    ];
  }

  /** A metric along an axis: a line for each combination of the others. */
  const others = (study, of) => varied(study).filter(({name}) => name !== of.name);
  function linesOf(study, of) {
    const groups = groupsBy(
        study,
        (cell) => others(study, of)
                      .map(({name, at: i}) => `${axisName(name)} ${settingText(cell.settings[i])}`)
                      .join(', '));
    return groups.every(([, cells]) => cells.length === 1) ? [['', study.cells]] : groups;
  }
  const leftOutOf = (groups) => groups.length > kMostLines ?
      ` The first ${kMostLines} of ${
          kWhole.format(
              groups.length)} combinations of the other axes are drawn; the tables have all.` :
      '';
  function alongLead(study, of, before) {
    const groups = linesOf(study, of);
    return [
      el('p', {class: 'note lead'},
         `${before}Whiskers: 95 % t-interval of the mean over the seeds. Hollow points: runs that are not stable or not steady.${
             leftOutOf(groups)}`),
      groups.length > 1 ?
          el('ul', {class: 'legend lead'},
             groups.slice(0, kMostLines)
                 .map(
                     ([label], i) =>
                         el('li', {}, el('i', {style: {background: `var(--c${i % 8})`}}), label))) :
          null
    ];
  }
  function along(study, of, metric, height) {
    const rest = others(study, of), groups = linesOf(study, of);
    const numeric = of.numbers.every(isNumber), drawn = groups.slice(0, kMostLines);
    const x = (cell) => {
      const i = of.values.indexOf(cell.settings[of.at]);
      return numeric ? of.numbers[i] : i;
    };
    const reach = Math.max(...study.cells.map((cell) => cell.figures[metric.at])
                               .filter((found) => isNumber(found?.mean))
                               .map(({mean, half}) => mean + (half ?? 0)));
    const wide = numeric && Math.min(...of.numbers) > 0 &&
        Math.max(...of.numbers) / Math.min(...of.numbers) >= 30;
    return chart({
      title: metricTitle(metric),
      height,
      config: () => ({
        type: 'line',
        data: {
          datasets: drawn.map(([label, cells], i) => {
            const points = cells.filter((cell) => isNumber(cell.figures[metric.at]?.mean))
                               .map((cell) => ({
                                      x: x(cell),
                                      y: cell.figures[metric.at].mean,
                                      half: cell.figures[metric.at].half,
                                      passing: cell.passing
                                    }))
                               .sort((a, b) => a.x - b.x);
            return {
              label,
              data: points,
              halves: points.map(({half}) => half),
              borderColor: series(i),
              backgroundColor: series(i),
              pointStyle: kPoints[i % kPoints.length],
              radius: 4,
              pointBackgroundColor: points.map(({passing}) => passing ? colour('card') : series(i)),
              borderDash: numeric ? [] : [2, 3]
            };
          })
        },
        options: {
          parsing: false,
          interaction: {mode: 'nearest', intersect: false},
          scales: {
            x: axis(axisName(of.name), {
              type: wide ? 'logarithmic' : 'linear',
              offset: !numeric,
              ticks: numeric ? {} : {
                stepSize: 1,
                autoSkip: false,
                maxRotation: 40,
                callback: (i) => settingText(of.values[i] ?? ' ').slice(0, 18)
              }
            }),
            y: axis(metric.unit, {beginAtZero: true, suggestedMax: reach})
          },
          plugins: {
            legend: {display: false},
            tooltip: {
              callbacks: {
                title: ([item]) => `${axisName(of.name)} ${
                    numeric ? figure(item.parsed.x) : settingText(of.values[item.parsed.x])}`,
                label: ({dataset, raw}) => `${dataset.label ? `${dataset.label}: ` : ''}${
                    figure(raw.y)}${isNumber(raw.half) ? ` ± ${halfText(raw.half)}` : ''} ${
                    metric.unit}${raw.passing ? ' *' : ''}`
              }
            }
          }
        }
      }),
      table: {
        head: [
          axisName(of.name), ...rest.map(({name}) => axisName(name)), metricTitle(metric), '± half',
          'seeds'
        ],
        rows: () => study.cells.map(
            (cell) =>
                [cell.settings[of.at], ...rest.map(({at: i}) => cell.settings[i]),
                 cell.figures[metric.at]?.mean ?? null, cell.figures[metric.at]?.half ?? null,
                 cell.done])
      }
    });
  }
  function axesView(study) {
    const used = varied(study),
          of = used.find(({name}) => name === recall('axis', used[0].name)) ?? used[0];
    return [
      el('div', {class: 'filters'},
         select(
             'Along', used.map(({name}) => [name, name]), of.name,
             (value) => {
               remember('axis', value);
               redraw();
             })),
      alongLead(study, of, ''),
      el('div', {class: 'grid small'},
         numericMetrics(study).map((metric) => along(study, of, metric, 240)))
    ];
  }
  const isLoad = (name) =>
      /\/(arrivals\/rate|arrivals\/concurrency|time_scale|max_concurrency)$|^--(rate|speed)$/.test(
          name);
  function loadView(study) {
    const of = varied(study).find(({name}) => isLoad(name)), metrics = numericMetrics(study);
    const wanted = ['goodput', 'output_throughput', 'p99_ttft', 'p99_tpot']
                       .map((name) => metrics.find((metric) => metric.name === name))
                       .filter(Boolean);
    return [
      alongLead(
          study, of, `The load is ${of.name}: goodput rises with it until limits are missed. `),
      el('div', {class: 'grid'}, wanted.map((metric) => along(study, of, metric, 280)))
    ];
  }

  function tornado(study) {
    const metrics = numericMetrics(study),
          chosen =
              recall('metric', metrics.find(({name}) => name === 'tpot')?.name ?? metrics[0]?.name);
    const metric = metrics.find(({name}) => name === chosen) ?? metrics[0];
    const bars = new Map();
    for (const cell of study.cells.slice(1)) {
      const [, pointer, setting] =
          /^(.*?)=(.*)$/s.exec(cell.settings[0]) ?? [null, cell.settings[0], ''];
      const change = cell.changes[metric.at];
      if (!bars.has(pointer)) bars.set(pointer, []);
      bars.get(pointer).push(
          {setting, value: change?.relative ?? null, half: change?.half ?? null});
    }
    const reach = ([, ends]) => Math.max(0, ...ends.map(({value}) => Math.abs(value ?? 0)));
    const all = [...bars].sort((a, b) => reach(b) - reach(a)),
          rows = all.filter((row) => reach(row) > 5e-5).slice(0, 18);
    const failed = all.filter(([, ends]) => ends.every(({value}) => value === null)).length;
    return [
      studySummary(study),
      el('div', {class: 'filters'},
         select(
             'Metric', metrics.map((of) => [of.name, metricTitle(of)]), metric.name,
             (value) => {
               remember('metric', value);
               redraw();
             })),
      chart({
        title: `What moves ${metric.name} most`,
        legend: el(
            'ul', {class: 'legend'},
            [['less of it', 0], ['more of it', 1], ['the one way that it may go', 7]].map(
                ([name, c]) => el('li', {}, el('i', {style: {background: `var(--c${c})`}}), name))),
        height: 90 + 30 * Math.max(1, rows.length),
        note:
            `Each number alone, changed by 10 % or as far as it may be, against the scenario as it is. ${
                kWhole.format(all.length - rows.length)} more change it less or not at all${
                failed ? `, ${failed} of them failed` : ''}.`,
        config: () => ({
          type: 'bar',
          data: {
            labels: rows.map(([pointer]) => pointer),
            datasets: [['less', 0], ['more', 1]].map(
                ([label, i]) => ({
                  label,
                  grouped: false,
                  barPercentage: 0.8,
                  backgroundColor: rows.map(([, ends]) => series(ends.length === 1 ? 7 : i)),
                  data: rows.map(([, ends]) => ends[i]?.value ?? null)
                }))
          },
          options: {
            indexAxis: 'y',
            scales: {
              x: axis(`change of ${metric.name}`, percentTick),
              y: axis('', {
                type: 'category',
                grid: {display: false},
                ticks: {
                  autoSkip: false,
                  callback(i) {
                    const name = this.getLabelForValue(i);
                    return this.chart.width < 640 ? axisName(name) : name;
                  }
                }
              })
            },
            plugins: {
              legend: {display: false},
              tooltip: {
                callbacks: {
                  label: (item) => {
                    const of = rows[item.dataIndex][1][item.datasetIndex];
                    return `= ${of.setting}: ${signed(of.value)}${
                        isNumber(of.half) ? ` ± ${percent(of.half)}` : ''}`;
                  }
                }
              }
            }
          }
        }),
        table: {
          head: ['number', 'set to', 'change', '± half'],
          rows: () => all.flatMap(
              ([pointer, ends]) => ends.map(
                  ({setting, value, half}) =>
                      [pointer, setting, isNumber(value) ? signed(value) : null,
                       isNumber(half) ? percent(half) : null]))
        }
      })
    ];
  }

  function studyFacts(study) {
    return [
      el('div', {class: 'card'}, facts([
           ['command', `cmsim ${study.command}`], ['scenario', study.scenario],
           ['version', study.version],
           ['points', Object.entries(study.states).map(([state, n]) => `${n} ${state}`).join(', ')],
           ...study.axes.map(
               (of) => [of.name, of.values.map(settingText).join(', ').slice(0, 2000)]),
           ['metrics', study.metrics.map(({name, pointer}) => `${name} (${pointer})`).join(', ')]
         ]),
         el('p', {class: 'note'},
            'Every point has the command line that runs it alone, in the table of points. The results themselves are in study.sqlite and in points/.'))
    ];
  }

  // --- views and tabs ---------------------------------------------------------------------------

  function viewsOf(source) {
    if (source.kind === 'run') {
      return [
        ...(runs.length > 1 ? [['compare', 'Side by side', compare]] : []),
        ['overview', 'Overview', overview], ['latency', 'Latency', latency],
        ['groups', 'Groups', groups], ['time', 'Over time', timeSeries], ['steps', 'Steps', step],
        ['machine', 'Machine', machine], ['provenance', 'Provenance', provenance]
      ];
    }
    const used = varied(source), sensitive = isSensitivity(source),
          numbers = numericMetrics(source).length > 0;
    return [
      ...(sensitive && numbers ? [['tornado', 'Sensitivity', tornado]] : []),
      ['cells', 'Cells', cellsView], ['points', 'Points', pointsView],
      ...(numbers && !sensitive ? [['pareto', 'Pareto front', pareto]] : []),
      ...(numbers && !sensitive && used.length ? [['axes', 'By axis', axesView]] : []),
      ...(numbers && used.some(({name}) => isLoad(name)) ?
              [['load', 'Goodput and load', loadView]] :
              []),
      ['provenance', 'Provenance', studyFacts]
    ];
  }

  const main = document.getElementById('main'), tabs = document.getElementById('tabs');
  let current =
      Math.min(Math.max(Number.parseInt(recall('source', '0'), 10) || 0, 0), sources.length - 1);

  function show(view, focus) {
    const source = sources[current], views = viewsOf(source),
          [key, , build] = views.find(([name]) => name === view) ?? views[0];
    remember('source', current ? current : '');
    remember('view', key);
    tabs.replaceChildren(...views.map(
        ([name, title]) =>
            el('button', {
              type: 'button',
              role: 'tab',
              id: `tab-${name}`,
              'aria-controls': 'main',
              'aria-selected': String(name === key),
              tabindex: name === key ? 0 : -1,
              onclick: () => change(name)
            },
               title)));
    const tab = document.getElementById(`tab-${key}`);
    main.setAttribute('role', 'tabpanel');
    main.setAttribute('aria-labelledby', tab.id);
    tabs.scrollLeft = Math.max(0, tab.offsetLeft - tabs.clientWidth / 2);
    if (focus) tab.focus();
    const compared = key === 'compare';
    document.getElementById('title').replaceChildren(
        compared ? runs.map(({name}) => name).join(' and ') : source.name,
        el('small', {},
           compared ? `${runs.length} runs` :
               source.kind === 'run' ? `run of ${source.result.provenance.scenario}, seed ${
                                           source.result.provenance.seed}` :
                                       `study of ${source.scenario}`));
    building = () => {
      for (const old of live) old.destroy();
      live.clear();
      pending.length = 0;
      main.replaceChildren(...[build(source)].flat(Infinity).filter(Boolean));
      for (const make of pending) make();
    };
    building();
  }
  /** Another view starts without the filter and order of the one before. */
  function change(view, focus) {
    for (const key of ['q', 'sort']) remember(key, '');
    show(view, focus);
    scrollTo(0, 0);
  }
  const redraw = () => {
    const y = scrollY;
    building?.();
    scrollTo(0, y);
  };

  tabs.addEventListener('keydown', (event) => {
    const names = [...tabs.children].map((tab) => tab.id.slice(4)),
          at = names.findIndex(
              (name) =>
                  document.getElementById(`tab-${name}`).getAttribute('aria-selected') === 'true');
    const to = {ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: names.length - 1}[event.key];
    if (to === undefined) return;
    event.preventDefault();
    change(names[(to + names.length) % names.length], true);
  });
  const chooser = document.getElementById('source');
  if (sources.length > 1) {
    document.getElementById('source-label').hidden = false;
    chooser.append(...sources.map(
        ({name, kind}, i) =>
            el('option', {value: i, selected: i === current}, `${kind}: ${name}`)));
    chooser.addEventListener('change', () => {
      current = Number(chooser.value);
      change(recall('view', ''));
    });
  }
  document.getElementById('version').textContent = data.version;
  document.getElementById('theme').addEventListener('click', nextTheme);
  darkSystem.addEventListener('change', () => {
    applyTheme();
    redraw();
  });
  addEventListener('hashchange', () => {
    for (const key of [...place.keys()]) place.delete(key);
    for (const [key, value] of new URLSearchParams(location.hash.slice(1))) place.set(key, value);
    current =
        Math.min(Math.max(Number.parseInt(recall('source', '0'), 10) || 0, 0), sources.length - 1);
    show(recall('view', ''));
  });
  addEventListener('beforeprint', () => {
    document.documentElement.dataset.theme = 'light';
    redraw();
  });
  addEventListener('afterprint', () => {
    applyTheme();
    redraw();
  });
  applyTheme();
  show(recall('view', ''));
})();
