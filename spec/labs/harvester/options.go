package main

import (
	"flag"
	"fmt"
	"strings"
	"time"
)

// options are the flags. Limits are those of the real programs; only what they wait between two tries may
// be shortened (--hurry), or a test would take minutes.
type options struct {
	kubeconfig string
	listen     string
	harvester  string
	collect    bool
	world      bool
	hurry      bool
	real       bool
	bim        string
	importer   string
	resolve    routes

	registerTimeout time.Duration // Harvester's HEAD
	sourceTimeout   time.Duration // backing-image-manager's HEAD
	idleTimeout     time.Duration // between two reads of a backing image's download
	beginTimeout    time.Duration // until its first byte
	importerIdle    time.Duration // between two reads of CDI's importer
	imageRetry      time.Duration // Harvester makes a failed image again
	podRetry        time.Duration // Longhorn or CDI starts a pod that was lost again
	checkEvery      time.Duration // Harvester looks at an image of backend cdi
	progressEvery   time.Duration
	boot            time.Duration // from an instance's start to Running
}

func parseOptions() options {
	o := options{resolve: routes{}}
	flag.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig of an admin (default: $KUBECONFIG)")
	flag.StringVar(&o.listen, "listen", "127.0.0.1:0", "address of the control API")
	flag.StringVar(&o.harvester, "harvester", "1.8.0", "Harvester to be like: 1.8.0 or 1.9")
	flag.BoolVar(&o.collect, "collect", true,
		"collect garbage by owner references (off beside a controller-manager)")
	flag.BoolVar(&o.world, "world", true,
		"make namespaces, storage classes and settings of a fresh Harvester")
	flag.BoolVar(&o.real, "real", false,
		"Harvester's own webhook and controllers of images run beside (real/up): leave their part to them")
	flag.StringVar(&o.bim, "backing-image-manager", "",
		"Longhorn's program that downloads (real/build), instead of our own way")
	flag.StringVar(&o.importer, "cdi-importer", "",
		"CDI's program that downloads (real/build), instead of our own way")
	flag.BoolVar(&o.hurry, "hurry", false,
		"wait 0.2 s between two tries instead of what is real; limits stay")
	flag.Var(o.resolve, "resolve",
		"HOST:PORT=ADDRESS:PORT or HOST:PORT=lease:NAMESPACE/NAME, as the cluster's DNS and Services would; repeatable")
	flag.DurationVar(&o.idleTimeout, "idle-timeout", 30*time.Second,
		"longest pause of a backing image's download, and its HEAD (up to Harvester 1.6.0: 4s)")
	flag.DurationVar(&o.boot, "boot", 0, "from an instance's start until it runs")
	flag.Parse()

	// backing-image-manager has one constant for both: 4 s up to 1.9.1, 30 s later.
	o.registerTimeout, o.sourceTimeout, o.beginTimeout = 15*time.Second, o.idleTimeout,
		60*time.Second
	o.importerIdle = 10 * time.Minute
	o.imageRetry, o.podRetry = 10*time.Second, 60*time.Second
	o.checkEvery, o.progressEvery = time.Second, time.Second
	if o.hurry {
		const soon = 200 * time.Millisecond
		o.imageRetry, o.podRetry, o.checkEvery, o.progressEvery = soon, soon, soon, soon
	}
	return o
}

// routes say where a name of the cluster leads: HOST:PORT to ADDRESS:PORT, or to the holder of a Lease.
type routes map[string]string

func (r routes) String() string {
	return fmt.Sprint(map[string]string(r))
}

func (r routes) Set(text string) error {
	from, to, found := strings.Cut(text, "=")
	if !found || from == "" || to == "" {
		return fmt.Errorf("%q is not HOST:PORT=ADDRESS:PORT", text)
	}
	r[from] = to
	return nil
}
